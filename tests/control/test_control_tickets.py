"""An act that takes time has a ticket, by which its outcome can be asked for whatever becomes of the connection."""

from pathlib import Path

import pytest
from office import Caller, Office

from supervisor.control import tickets
from supervisor.host.interface import Request


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def asked(office: Office, verb: str, **args: object) -> Caller:
    """A client whose request is under way: nothing has happened since."""
    caller = Caller()
    office.parent.occur(Request(caller, verb, args))
    return caller


def issued(caller: Caller) -> str:
    (ticket,) = caller.tickets
    return str(ticket["id"])


def test_a_client_that_waits_gets_a_ticket_and_then_the_answer(office: Office) -> None:
    caller = asked(office, "stop", names=["web"], wait=True)
    number = issued(caller)
    assert caller.tickets == [{"id": number, "verb": "stop", "state": "waiting"}]
    assert not caller.answers
    office.settle()
    assert [one["outcome"] for one in caller.answers[0]["instances"]] == ["stopped", "stopped"]


@pytest.mark.parametrize(
    ("verb", "args"),
    [("stop", {"names": ["web"], "wait": False}), ("stop", {"names": ["nobody"]}), ("status", {"names": []})],
    ids=["it does not wait", "it is refused", "it only reads"],
)
def test_there_is_no_ticket_for_what_is_answered_at_once(office: Office, verb: str, args: dict[str, object]) -> None:
    caller = asked(office, verb, **args)
    assert len(caller.answers) + len(caller.errors) == 1
    assert not caller.tickets


def test_the_outcome_is_there_for_a_client_that_asks_again(office: Office) -> None:
    caller = asked(office, "stop", names=["db"], wait=True)
    number = issued(caller)
    caller.close()
    (waiting,) = asked(office, "ticket", id=number).answers
    assert (waiting["ticket"]["state"], waiting["ticket"]["by"]) == ("waiting", "root")
    assert [one["name"] for one in waiting["ticket"]["progress"]] == ["db"]
    assert not caller.answers, "its connection was gone"
    (done,) = office.ask("ticket", id=number, wait=True).answers
    assert (done["ticket"]["state"], done["ticket"]["exit"]) == ("done", 0)
    assert done["ticket"]["answer"]["instances"][0]["outcome"] == "stopped"


def test_one_that_asks_early_is_answered_with_the_outcome_and_told_the_way(office: Office) -> None:
    number = issued(asked(office, "restart", names=["db"], wait=True))
    late = asked(office, "ticket", id=number, wait=True)
    gone = asked(office, "ticket", id=number, wait=True)
    gone.close()
    assert not late.answers
    office.settle()
    assert late.answers[0]["ticket"]["answer"]["instances"][0]["outcome"] == "running"
    assert late.told[-1]["outcome"] == "running"
    assert not gone.answers


def test_what_did_not_succeed_has_failed_with_the_exit_code_of_supctl(office: Office) -> None:
    caller = asked(office, "stop", names=["db"], wait=True)
    asked(office, "start", names=["db"])
    office.settle()
    (told,) = office.ask("ticket", id=issued(caller)).answers
    assert (told["ticket"]["state"], told["ticket"]["exit"]) == ("failed", 1)
    assert [one["ok"] for one in told["ticket"]["answer"]["instances"]] == [False]


def test_what_is_refused_later_has_its_error(office: Office) -> None:
    Path(office.parent.context.config.path).write_text("[")
    caller = asked(office, "reload")
    office.settle()
    ((error, code),) = caller.errors
    (told,) = office.ask("ticket", id=issued(caller)).answers
    assert {name: told["ticket"][name] for name in ("state", "exit", "error")} == {
        "state": "failed", "exit": code, "error": error,
    }  # fmt: skip


def test_an_unknown_ticket(office: Office) -> None:
    ((text, code),) = office.ask("ticket", id="x.1").errors
    assert code == 4
    assert text.startswith("no ticket 'x.1': ")


def test_an_outcome_is_kept_for_a_time(office: Office) -> None:
    caller = asked(office, "stop", names=["db"], wait=True)
    office.settle()
    office.host.time += tickets.KEPT
    assert office.ask("ticket", id=issued(caller)).answers
    office.host.time += 0.1
    assert office.ask("ticket", id=issued(caller)).errors


def test_no_client_can_have_more_than_so_many(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are over go first, then those that nobody follows; nothing waits for a ticket that is gone."""
    monkeypatch.setattr(tickets, "MOST", 3)
    over = asked(office, "stop", names=["db"], wait=True)
    office.settle()
    followed = asked(office, "restart", names=["web"], wait=True)
    alone = []
    for _ in range(4):
        alone.append(asked(office, "restart", names=["web"], wait=True))
        alone[-1].close()
    last = asked(office, "restart", names=["web"], wait=True)
    kept = [one for one in (over, followed, *alone, last) if asked(office, "ticket", id=issued(one)).answers]
    assert over not in kept
    assert followed in kept
    assert last in kept
    assert len(kept) == 3
    assert len(office.parent.controls.waits.open) <= 6
    office.settle()
    assert followed.answers
    assert last.answers
    assert not office.parent.controls.waits.open


def test_the_next_program_knows_what_was_open(office: Office, tmp_path: Path) -> None:
    number = issued(asked(office, "stop", names=["db"], wait=True))
    opened = office.parent.context.tickets.open()
    assert opened == [{"id": number, "verb": "stop", "by": "root", "asked": opened[0]["asked"]}]
    other = Office(tmp_path)
    other.parent.context.tickets.restore(
        [*opened, {"id": "l.2", "of": "another version"}], lambda verb: {"exit": 1, "error": f"no {verb}"}
    )
    (told,) = other.ask("ticket", id=number).answers
    assert (told["ticket"]["state"], told["ticket"]["error"], told["ticket"]["verb"]) == ("failed", "no stop", "stop")
    assert other.ask("ticket", id="l.2").answers
    office.settle()
    assert not office.parent.context.tickets.open()
