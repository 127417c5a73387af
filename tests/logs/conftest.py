"""A scribe for each test that needs one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from paper import Paper


@pytest.fixture
def paper(tmp_path: Path) -> Iterator[Paper]:
    made = Paper(tmp_path)
    yield made
    made.close()
