"""Run records: what the journal owes to the history and to the next supervisor, also from another version."""

import pytest

from supervisor.core.run_record import fault
from supervisor.shell.ended_runs import unreported

WHOLE = {
    "run": "web:1/1@e", "task": "web", "instance": "web:1", "name": "web", "kind": "continuous", "trigger": "start",
    "attempt": 1, "arguments": None, "pid": 7, "began": 1.0, "ready": None, "ended": 2.0, "code": 1, "signal": None,
    "core": False, "success": False, "reason": "exit 1", "stopped": None, "cpu": 0.5, "memory": 1000, "keep": 10,
    "max_age": 1e9,
}  # fmt: skip


def test_an_incomplete_record_is_not_used():
    found = [WHOLE, {"run": "web:1/1@e"}, "torn", WHOLE | {"later": 1}]
    assert unreported({"fleet records": {"records": found}}) == [WHOLE, WHOLE | {"later": 1}]
    assert unreported({"fleet records": {"records": "torn"}}) == unreported({}) == []


@pytest.mark.parametrize("missing", sorted(WHOLE.keys() - {"arguments", "pid", "ready", "code", "signal", "stopped"}))
def test_a_missing_field_and_a_wrong_type_are_found(missing):
    assert fault(WHOLE) == ""
    if WHOLE[missing] is not None and missing not in ("cpu", "memory"):
        assert fault({name: one for name, one in WHOLE.items() if name != missing})
    for junk in ({}, ["x"], 1 << 80, -1e300, float("nan")):
        assert fault(WHOLE | {missing: junk})


@pytest.mark.parametrize("run", ["", "web", "web:1/x@e", "web:x/1@e", "/@"])
def test_a_wrong_run_id_is_found(run):
    assert fault(WHOLE | {"run": run, "instance": run.rpartition("/")[0]})
