"""A lab for each test, and both ways to find the processes of a run: cgroups and marks."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import WHY_NOT, Lab

from supervisor.host import cgroup


@pytest.fixture
def lab() -> Iterator[Lab]:
    """Make a lab in a short directory: the path of a Unix socket has at most 107 bytes."""
    made = Lab(Path(tempfile.mkdtemp(prefix="lab-", dir="/tmp")))
    yield made
    made.clean()


@pytest.fixture(
    params=[pytest.param("yes", marks=pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)), "no"],
    ids=["in cgroups", "by mark"],
)
def mode(request: pytest.FixtureRequest, lab: Lab) -> str:
    """All supervisors of this lab use this kind."""
    lab.env[cgroup.NEVER] = request.param
    return str(request.param)
