"""Requests to the verbs with every wrong type, and with whatever Hypothesis invents. The parent never raises."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from office import CONFIG, Caller, Office

from supervisor import verbs
from supervisor.control.refusal import RefusedError
from supervisor.control.wait import Asker
from supervisor.core.definition import Task
from supervisor.core.events import Exited, Status
from supervisor.core.instance import Instance
from supervisor.host.interface import Happened, Request

REMOTE = sorted(name for name in verbs.NAMES if hasattr(verbs.load(name), "answer"))

ARGUMENTS: dict[str, dict[str, Any]] = {
    "status": {"names": []},
    "start": {"names": ["web"], "all": False, "wait": True},
    "stop": {"names": ["web"], "all": False, "wait": True},
    "restart": {"names": ["web"], "all": False, "wait": True},
    "pause": {"names": ["web"], "all": False, "wait": True},
    "resume": {"names": ["web"], "all": False, "wait": True},
    "freeze": {"names": ["web"], "reason": "r", "for": 1.5},
    "thaw": {"names": ["web"]},
    "run": {
        "names": ["import"],
        "wait": True,
        "env": ["A=b"],
        "args": ["x"],
        "stdin": "f",
        "id": "k",
        "in": 5.0,
        "at": "2030-01-01T00:00",
        "reply_to": "x",
    },
    "cancel": {"names": ["import:1/7"], "wait": True},
    "retry": {"names": ["import"], "failed": True, "within": 60.0},
    "runs": {"names": ["web"]},
    "top": {"names": ["web"]},
    "heatmap": {},
    "show": {"names": ["web"], "reveal": False},
    "why": {"names": ["web"]},
    "logs": {"names": ["web"]},
    "events": {"follow": False, "since": "l.1"},
    "signal": {"signal": "HUP", "names": ["web"]},
    "scale": {"scales": ["web=3"], "wait": True},
    "reload": {"dry_run": True},
    "upgrade": {},
    "schedule": {"names": [], "hold": False, "release": False, "reason": None, "for": None},
    "pool": {"name": "gpu", "wait": 0.5, "slots": 1, "command": ["x"]},
    "ticket": {"id": "l.1", "wait": True},
    "shutdown": {"within": 30.0},
    "version": {},
}

WRONG = [
    None, True, False, 0, -1, 1.5, 1e308, 10**400, "", "x", "\0", "a\0b", "\udcff", "²", "9" * 5000, "x" * 100_000,
    [], [None], [1], [[]], ["\0"], [""], ["²"], ["web=²"], ["web=" + "9" * 5000], ["=1"], ["web=-1"], ["@"], ["["],
    ["*"], ["web"] * 1000, {}, {"a": 1}, {"names": ["web"]},
]  # fmt: skip


def test_the_table_has_every_argument_of_every_verb() -> None:
    declared = {verb: {one.name for one in verbs.load(verb).ARGUMENTS if not one.local} for verb in REMOTE}
    assert {verb: set(args) for verb, args in ARGUMENTS.items()} == declared


@pytest.mark.parametrize("verb", REMOTE)
def test_an_unknown_argument_is_refused(tmp_path: Path, verb: str) -> None:
    ((text, code),) = Office(tmp_path).ask(verb, **ARGUMENTS[verb], nmes=["web"]).errors
    assert code == 2
    assert "unknown argument 'nmes'" in text


@pytest.mark.parametrize("verb", REMOTE)
def test_every_wrong_value_of_every_argument_has_an_answer(tmp_path: Path, verb: str) -> None:
    office = Office(tmp_path)
    for key in [*ARGUMENTS[verb], "unknown"]:
        for value in WRONG:
            caller = office.ask(verb, **{**ARGUMENTS[verb], key: value})
            assert len(caller.answers) + len(caller.errors) <= 1
            assert all(code in (1, 2, 3, 4) and text for text, code in caller.errors), caller.errors
    for missing in ARGUMENTS[verb]:
        office.ask(verb, **{key: value for key, value in ARGUMENTS[verb].items() if key != missing})
    office.ask(verb)
    assert not office.bugs
    if verb != "shutdown":
        assert office.ask("status").answers


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(WRONG),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
KEYS = st.sampled_from(sorted({key for args in ARGUMENTS.values() for key in args}))
NAMES = st.sampled_from(
    ["web", "web:1", "web:9", "@etl", "@", "*", "w?b", "db", "app", "import", "prepare", "", "\udcff"]
)
LIKELY = {
    "names": st.lists(NAMES, max_size=3),
    "scales": st.lists(st.builds("{}={}".format, NAMES, st.integers(-1, 5)), max_size=2),
    "wait": st.booleans(),
    "all": st.booleans(),
    "env": st.lists(st.sampled_from(["A=b", "=", "A", "A=\n"]), max_size=2),
    "args": st.lists(st.text(max_size=5), max_size=2),
    "for": st.floats() | st.integers(),
    "reason": st.text(),
    "signal": st.sampled_from(["HUP", "sigterm", "9", "0", "99", "KILL", "x", "²"]),
    "since": st.sampled_from(["l.0", "l.1", "l.", ".", "x.1", "l.²", "l.-1"]),
    "dry_run": st.booleans(),
    "name": st.sampled_from(["gpu", "gpus", ""]),
    "slots": st.integers(-1, 3),
    "command": st.lists(st.text(max_size=5), max_size=2),
    "follow": st.booleans(),
}
LIKELY_ARGS = st.fixed_dictionaries({}, optional=LIKELY)
REQUESTS = st.lists(
    st.tuples(
        st.sampled_from([*(verb for verb in REMOTE if verb != "shutdown"), "check", "nonsense", "__init__", ""]),
        LIKELY_ARGS | st.dictionaries(KEYS, JSON, max_size=4),
        st.booleans(),
    ),
    max_size=12,
)


@settings(max_examples=120, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(REQUESTS)
def test_no_request_stops_the_parent(tmp_path_factory: pytest.TempPathFactory, requests: list[Any]) -> None:
    office = Office(tmp_path_factory.mktemp("office"))
    for verb, args, hangs_up in requests:
        known = ARGUMENTS.get(verb, args)
        caller = office.ask(verb, **{key: value for key, value in args.items() if key in known})
        assert len(caller.answers) + len(caller.errors) <= 1
        if hangs_up:
            caller.close()
        office.host.time += 0.7
        office.settle()
    assert not office.bugs
    assert office.ask("status").answers
    assert office.ask("shutdown").answers == []
    assert office.parent.context.fleet.busy == 0


def test_a_bug_in_a_verb_is_an_error_for_its_client_and_is_logged(tmp_path: Path) -> None:
    def broken(parent: object, client: Asker, args: dict[str, Any]) -> None:
        raise ZeroDivisionError("oh")

    office = Office(tmp_path)
    office.parent.requests.verbs["broken"] = SimpleNamespace(answer=broken, checked=dict, acts=False)  # type: ignore[assignment]
    caller = office.ask("broken")
    ((text, code),) = caller.errors
    assert code == 1
    assert "ZeroDivisionError: oh" in text
    assert "test_control_verbs.py" in text
    (logged,) = office.bugs
    assert "verb broken" in logged
    assert office.ask("version").answers


def test_a_refusal_is_not_logged_as_a_bug(tmp_path: Path) -> None:
    def refuses(parent: object, client: Asker, args: dict[str, Any]) -> None:
        raise RefusedError("no", 3)

    office = Office(tmp_path)
    office.parent.requests.verbs["refuses"] = SimpleNamespace(answer=refuses, checked=dict, acts=False)  # type: ignore[assignment]
    assert office.ask("refuses").errors == [("no", 3)]
    assert not office.bugs


def test_an_unknown_verb_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    ((text, code),) = Office(tmp_path).ask("statsu").errors
    assert code == 2
    assert "status" in text


@pytest.mark.parametrize("verb", ["check", "completion"])
def test_a_local_verb_is_not_a_verb_of_the_supervisor(tmp_path: Path, verb: str) -> None:
    assert Office(tmp_path).ask(verb).errors[0][1] == 2


def test_a_client_that_hung_up_gets_no_answer(tmp_path: Path) -> None:
    office = Office(tmp_path)
    caller = Caller()
    office.parent.occur(Request(caller, "stop", {"names": ["web"], "wait": True}))
    assert office.parent.controls.waits.open
    caller.close()
    office.settle()
    assert not office.parent.controls.waits.open
    assert caller.answers == []


def test_a_wait_reports_every_state_on_the_way(tmp_path: Path) -> None:
    caller = Office(tmp_path).ask("restart", names=["db"], wait=True)
    states = [one.get("outcome") or one["state"] for one in caller.told]
    assert states == ["running", "stopping", "starting", "running"]  # first its dependent goes
    assert caller.told[1]["why"] == "restart requested by root"


def test_status_says_why_a_helper_ended_in_the_same_turn(tmp_path: Path) -> None:
    """The end and the request come in one turn, so the parent answers before it has handled the end."""
    office = Office(tmp_path, CONFIG.replace('log = { to = "none" }', 'log = { to = "file" }'))
    office.host.last_line = "OSError: no room"
    office.parent.occur(Happened("@scribe:1", Exited(office.host.runs["@scribe:1"], Status(1), empty=True)))
    caller = Caller()
    office.parent.occur(Request(caller, "status", {}))
    assert caller.answers[0]["supervisor"]["helpers"][0].startswith("@scribe does not run (exit 1: OSError: no room)")


def test_answers_are_in_the_order_of_the_config(tmp_path: Path) -> None:
    (answer,) = Office(tmp_path).ask("stop", names=["db", "app"], wait=True).answers
    assert [one["name"] for one in answer["instances"]] == ["db", "app"]
    caller = Office(tmp_path).ask("stop", names=["db", "app"], wait=True)
    assert [one["name"] for one in caller.told if "outcome" in one] == ["app", "db"]


def test_status_does_not_mind_a_helper_of_another_version(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.parent.context.fleet.add(Instance(Task("@later", command=("true",)), 1, since=0.0))
    (answer,) = office.ask("status", names=[]).answers
    assert answer["supervisor"]["helpers"] == []
