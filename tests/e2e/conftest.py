"""A lab for each test, and the two ways to know what belongs to a run."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import WHY_NOT, Lab

from supervisor.host import cgroup


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A lab in a short directory: the path of a Unix socket has at most 107 bytes."""
    made = Lab(Path(tempfile.mkdtemp(prefix="lab-", dir="/tmp")))
    yield made
    made.clean()


@pytest.fixture(
    params=[pytest.param("yes", marks=pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)), "no"],
    ids=["in cgroups", "by mark"],
)
def mode(request: pytest.FixtureRequest, lab: Lab) -> str:
    """All supervisors of this lab do it this way."""
    lab.env[cgroup.NEVER] = request.param
    return str(request.param)
