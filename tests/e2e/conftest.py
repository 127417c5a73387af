"""A lab for each test."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import Lab


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A lab in a short directory: the path of a Unix socket has at most 107 bytes."""
    made = Lab(Path(tempfile.mkdtemp(prefix="lab-", dir="/tmp")))
    yield made
    made.clean()
