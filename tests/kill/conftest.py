"""A lab for each test, in a short directory."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.lab import Lab


@pytest.fixture
def lab() -> Iterator[Lab]:
    """One supervisor with its config, its directories and its events."""
    made = Lab(Path(tempfile.mkdtemp(prefix="kill-", dir="/tmp")))
    yield made
    made.clean()
