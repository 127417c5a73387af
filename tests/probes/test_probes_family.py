"""Each file of `supervisor/probes` is a kind of probe that is registered, and is what the interface says."""

from pathlib import Path

import pytest

from supervisor import probes
from supervisor.config.schema import HEALTH_PROBE, READY_PROBE
from supervisor.probes.interface import AsChild, InProber

KEYS_OF_ALL = {"every", "timeout", "successes", "initial_delay", "failures", "restart"}


def test_every_file_is_registered() -> None:
    files = {path.stem for path in Path(probes.__file__).parent.glob("*.py")} - {"__init__", "interface"}
    assert {f"supervisor.probes.{name}" for name in files} == set(probes.KINDS.values())


@pytest.mark.parametrize("name", probes.KINDS)
def test_a_kind_is_what_the_interface_says(name: str) -> None:
    kind = probes.load(name)
    assert isinstance(kind, InProber | AsChild)
    assert kind.doc
    assert kind.keys[0].name == name


def test_no_two_kinds_have_a_key_of_the_same_name() -> None:
    names = [key.name for name in probes.KINDS for key in probes.load(name).keys]
    assert len(names) == len(set(names))
    assert KEYS_OF_ALL.isdisjoint(names)
    assert set(HEALTH_PROBE) == {*names, *KEYS_OF_ALL}
    assert set(READY_PROBE) == set(HEALTH_PROBE) - {"failures", "restart"}
