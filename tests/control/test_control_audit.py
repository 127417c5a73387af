"""The audit log has one line for every act and for nothing else. It cannot be forged, and has no secrets."""

from pathlib import Path
from typing import Any

import pytest
from office import Caller, Office

from supervisor.control.access import program_of
from supervisor.core.definition import Probe, Task
from supervisor.host.interface import Request
from supervisor.shell import audit
from supervisor.verbs import NAMES, load_all, show


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def lines(office: Office) -> list[str]:
    return [
        text.partition("audit: ")[2]
        for level, text in office.host.lines
        if text.startswith("audit: ") and level == "info"
    ]


def test_reading_verbs_are_not_acts(office: Office):
    assert set(NAMES) > set(load_all())
    for verb in ("status", "version", "events"):
        office.ask(verb)
    assert lines(office) == []


@pytest.mark.parametrize(
    ("verb", "args", "line"),
    [
        ("scale", {"scales": ["web=3"]}, "scale web=3: done"),
        ("signal", {"signal": "HUP", "names": ["web:1"]}, "signal signal=HUP web:1: done"),
        ("freeze", {"names": ["web"], "reason": "bad\ndeploy"}, r"freeze web reason=bad\ndeploy: refused: --reason"),
        ("run", {"names": ["import"], "env": ["T=secret", "A"]}, "run import env=T=… env=A=…: refused: --env takes"),
        ("run", {"names": ["import"], "env": "TOKEN=secret"}, "run import env=?=…: refused: 'env' must be"),
        ("stop", {"names": ["nobody"]}, "stop nobody: refused: no task"),
        ("stop", {}, "stop: refused: which tasks?"),
        ("frobnicate", {"x": 1}, "frobnicate x=1: refused: no verb"),
    ],
)  # fmt: skip
def test_an_act(office: Office, verb: str, args: dict[str, Any], line: str):
    office.ask(verb, **args)
    assert lines(office)[-1].startswith(f'root (uid 0, pid 7, "supctl"): {line}')
    assert not [text for _, text in office.host.lines if "secret" in text]
    assert not office.bugs


def test_the_event(office: Office):
    caller = office.ask("events", follow=True)
    office.ask("stop", names=["web:1"], wait=True)
    told = [line for line in caller.lines if b'"audit"' in line]
    assert b'"user":"root","uid":0,"pid":7,"program":"supctl","verb":"stop","arguments":"stop web:1 wait"' in told[-1]
    assert b'"outcome":"done","exit":0' in told[-1]


class Forger(Caller):
    def who(self) -> dict[str, Any]:
        return {"user": "eve", "uid": 1000, "pid": 8, "program": 'x"): stop'}


def test_no_request_can_forge_another_audit_line(office: Office):
    name = "web: done\x1b[2K\rroot (uid 0): stop " + "x" * 1000
    office.parent.occur(Request(Forger("eve"), "stop", {"names": [name]}))
    (line,) = lines(office)
    assert line.startswith('eve (uid 1000, pid 8, "x\'): stop"): stop web: done')
    assert line.isprintable()
    assert len(line) < 3 * audit.LONGEST


@pytest.mark.parametrize("key", ["health", "ready"])
def test_the_headers_of_a_probe_are_secrets(key: str):
    probe = Probe("http", {"http": "http://127.0.0.1/", "headers": {"Authorization": "secret"}})
    task = Task("web", environment={"TOKEN": "secret"}, **{key: probe})
    assert "secret" not in str(show.definition(task))
    assert str(show.definition(task, reveal=True)).count("secret") == 2


def test_a_supervisor_without_root_reveals_to_its_owner(office: Office, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    caller = Forger("eve")
    office.parent.occur(Request(caller, "show", {"names": ["web"], "reveal": True}))
    assert not caller.errors


def test_secrets_are_revealed_to_root_and_the_owner_only(office: Office):
    caller = Forger("eve")
    office.parent.occur(Request(caller, "show", {"names": ["web"], "reveal": True}))
    assert caller.errors == [("--reveal is only for root and the owner of the supervisor", 1)]
    assert not office.ask("show", names=["web"], reveal=True).errors


def test_the_exit_code_is_that_of_supctl(office: Office):
    office.ask("freeze", names=["db"])
    office.ask("stop", names=["db"], wait=True)
    caller = office.ask("events")
    office.ask("start", names=["db"], wait=True)
    office.ask("start", names=["db"], wait=False)
    del caller
    told = [line for line in office.ask("events").lines if b'"audit"' in line]
    assert b'"exit":3' in told[-2]
    assert b'"exit":0' in told[-1]


def test_the_name_of_a_program():
    assert program_of(2**22 + 1) == "?"
    assert program_of(0) == "?"
    assert program_of(1) != "?"
