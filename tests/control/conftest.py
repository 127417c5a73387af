"""A desk for each test."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from desk import Desk


@pytest.fixture
def place() -> Iterator[Path]:
    """A short directory that everybody may enter."""
    path = Path(tempfile.mkdtemp(prefix="desk-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def desk(place: Path) -> Iterator[Desk]:
    made = Desk(place).listen()
    yield made
    made.close()
