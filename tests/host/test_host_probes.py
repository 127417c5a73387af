"""The kinds of probes are what the interface says, and each is registered."""

from pathlib import Path

import pytest

from supervisor import probes
from supervisor.config.schema import HEALTH_PROBE, READY_PROBE


def test_every_kind_is_registered_and_can_be_written() -> None:
    files = {path.stem for path in Path(probes.__file__).parent.glob("*.py")} - {"__init__", "interface"}
    assert files == set(probes.KINDS)
    assert files <= set(READY_PROBE)
    assert files <= set(HEALTH_PROBE)


@pytest.mark.parametrize("kind", probes.KINDS)
def test_a_kind_is_what_the_interface_says(kind: str) -> None:
    module = probes.load(kind)
    needed = {"prober": {"ask"}, "child": {"words", "wrong"}}[module.BY]
    assert all(callable(getattr(module, name)) for name in needed)
