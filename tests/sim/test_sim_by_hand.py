"""Firings by hand: overlap policies, times, keys, cancel; and no loss or doubling wherever something dies."""

import sqlite3
from collections import Counter
from typing import Any

import pytest
from sim.scenario import Client, Scenario

from supervisor.control.tickets import MOST
from supervisor.shell import firings
from supervisor.shell.by_hand import ByHand
from supervisor.shell.schedules import WAITING

TASK = "task job kind=triggered"


def told(*lines: str) -> Scenario:
    story = Scenario()
    for line in lines:
        story.do(line)
    return story


def asked(story: Scenario, line: str) -> Client:
    """The client of a request, some time later."""
    story.do(f"supctl {line}")
    client = story.clients[-1]
    story.do("after 10ms")
    return client


def one(client: Client) -> dict[str, Any]:
    """The only result that a client got."""
    assert client.done, f"no answer to {client.asked}"
    assert client.refused is None, client.refused
    (found,) = client.answers[0]["instances"]
    return dict(found)


def over(story: Scenario) -> dict[str, str]:
    """How each firing has ended, by its id."""
    rows = story.world.firings._db.execute("SELECT id, reason, run FROM over")
    return {identity: f"ran: {reason}" if run else reason for identity, reason, run in rows}


def began(story: Scenario) -> Counter[str]:
    """How many runs each firing has begun."""
    return Counter(firing for firing, _, _ in story.world.ran)


def test_a_run_answers_when_it_has_begun_and_is_a_firing() -> None:
    story = told(TASK, "job will exit 0 after 1s", "start")
    answer = one(asked(story, "run job --env A=b -- x"))
    assert (answer["outcome"], answer["ok"], answer["run"]) == ("running", True, "job:1/1@e")
    story.do("after 2s")
    assert over(story) == {answer["firing"]: "ran: exit 0"}
    order = story.instance("job").last
    assert order
    assert order.success


@pytest.mark.parametrize(("ends", "ok", "outcome"), [("exit 0", True, "done"), ("exit 3", False, "failed")])
def test_a_client_that_waits_gets_the_end(ends: str, ok: bool, outcome: str) -> None:
    story = told(TASK, f"job will {ends} after 1s", "start")
    client = asked(story, "run job --wait")
    assert not client.done
    story.do("after 2s")
    answer = one(client)
    assert (answer["outcome"], answer["ok"]) == (outcome, ok)
    assert answer["text"] == f"run job:1/1@e: {ends} after 1.0 s"


def test_a_run_that_cannot_start_is_said_to_a_client_that_does_not_wait() -> None:
    story = told(TASK, "job will fail to exec: no such file", "start")
    answer = one(asked(story, "run job"))
    assert not answer["ok"]
    assert "cannot start: no such file" in answer["text"]


def test_with_overlap_skip_the_run_that_is_on_is_named() -> None:
    story = told(TASK, "start")
    one(asked(story, "run job"))
    client = asked(story, "run job")
    assert client.exit_code == 1
    assert client.refused
    assert "run job:1/1@e was still on" in client.refused


def test_two_requests_at_once_make_one_run_with_overlap_skip() -> None:
    story = told(TASK, "start", "after 1s")
    story.do("supctl run job")
    second = asked(story, "run job")
    assert second.refused
    assert "was about to begin" in second.refused
    assert sum(began(story).values()) == 1


def test_with_queue_they_run_one_after_the_other_and_max_waiting_bounds_them() -> None:
    story = told(f"{TASK} overlap=queue max_waiting=2", *["job will exit 0 after 1s"] * 3, "start")
    first, second, third = (one(asked(story, f"run job -- {n}")) for n in (1, 2, 3))
    assert [first["outcome"], second["outcome"], third["outcome"]] == ["running", "waiting", "waiting"]
    full = asked(story, "run job -- 4")
    assert full.refused
    assert "2 firings were waiting (max_waiting)" in full.refused
    story.do("after 5s")
    assert [firing for firing, _, _ in story.world.ran] == [first["firing"], second["firing"], third["firing"]]


def test_with_latest_the_newest_waits() -> None:
    story = told(f"{TASK} overlap=latest", *["job will exit 0 after 1s"] * 3, "start")
    asked(story, "run job")
    old = asked(story, "run job --wait")
    one(asked(story, "run job"))
    assert old.refused
    assert "a newer firing took its place" in old.refused
    story.do("after 5s")
    assert sum(began(story).values()) == 2


def test_with_replace_the_run_that_is_on_is_stopped() -> None:
    story = told(f"{TASK} overlap=replace", "start")
    first = one(asked(story, "run job"))
    second = one(asked(story, "run job"))
    assert second["outcome"] in ("running", "waiting")
    story.do("after 1s")
    assert story.instance("job").run.order.firing == second["firing"]
    assert over(story)[first["firing"]].startswith("ran: stop requested by a newer firing")


def test_with_allow_they_run_side_by_side() -> None:
    story = told(f"{TASK} overlap=allow max_parallel=3", "start")
    assert [one(asked(story, "run job"))["run"] for _ in range(3)] == ["job:1/1@e", "job:2/1@e", "job:3/1@e"]


def test_while_frozen_it_waits_and_a_freeze_replaces_no_run() -> None:
    story = told(f"{TASK} overlap=replace max_parallel=1", "start")
    first = one(asked(story, "run job"))
    asked(story, "freeze")
    answer = one(asked(story, "run job"))
    assert (answer["outcome"], answer["ok"]) == ("held", False)
    assert "frozen by root" in answer["text"]
    story.do("after 1h")
    assert story.instance("job").run.order.firing == first["firing"]
    asked(story, "thaw")
    story.do("job exits 0")
    story.do("after 1s")
    assert story.instance("job").run.order.firing == answer["firing"]


def test_what_waited_for_a_day_in_a_freeze_over_a_boot_runs_at_the_thaw() -> None:
    story = told(f"{TASK} schedule=0_3_*_*_* catch_up=none", "start", "supctl freeze")
    answer = one(asked(story, "run job -- x"))
    story.do("after 50h")
    story.do("power fails on disk")
    story.do("start")
    story.do("after 1h")
    assert not began(story)
    asked(story, "thaw")
    story.do("after 1s")
    assert story.instance("job").run.order.arguments == ("x",)
    assert began(story)[answer["firing"]] == 1


def test_later_is_later_also_over_a_boot() -> None:
    story = told(TASK, "start")
    answer = one(asked(story, "run job --in 2h"))
    assert (answer["outcome"], answer["ok"]) == ("waiting", True)
    assert answer["text"].startswith("runs at 2026-")
    story.do("after 1h")
    story.do("power fails")
    story.do("start")
    story.do("after 59m")
    assert not began(story)
    story.do("after 2m")
    assert began(story) == Counter({answer["firing"]: 1})


def test_a_clock_that_is_set_back_does_not_delay_what_was_asked_for_now() -> None:
    story = told(TASK, "start", "after 1s", "supctl freeze", "supctl run job", "after 10ms", "wall jumps -86400")
    asked(story, "thaw")
    assert sum(began(story).values()) == 1


def test_a_schedule_and_a_person_do_not_merge() -> None:
    story = told(f"{TASK} schedule=*_*_*_*_*", *["job will exit 0 after 1s"] * 9, "start", "supctl freeze")
    answer = one(asked(story, "run job"))
    story.do("after 10m")
    asked(story, "thaw")
    story.do("after 5s")
    runs = began(story)
    assert runs[answer["firing"]] == 1
    assert len(runs) == 2, "one of the person, one that catches up"


def test_a_reload_keeps_it_and_a_task_that_goes_loses_it() -> None:
    story = told(TASK, "task other kind=triggered", "start")
    answer = one(asked(story, "run job --in 1h"))
    waiting = asked(story, "run job --in 2h --wait")
    story.do(f"{TASK} schedule=0_3_*_*_*")
    asked(story, "reload")
    assert not over(story)
    story.do("remove job")
    asked(story, "reload")
    story.do("after 1s")
    assert over(story)[answer["firing"]] == "its task is no longer a triggered task of the config"
    assert any("2 waiting firings are dropped" in line for line in story.world.log)
    assert waiting.refused
    assert "no longer a triggered task" in waiting.refused


def test_the_last_triggered_task_goes_while_its_firing_is_waited_for() -> None:
    """@timekeeper goes as well. It writes the end of the firing when it is back."""
    story = told(TASK, "task other", "start")
    waiting = asked(story, "run job --in 2h --wait")
    story.do("remove job")
    asked(story, "reload")
    assert waiting.refused
    assert "no longer a triggered task" in waiting.refused
    story.do(TASK)
    asked(story, "reload")
    story.do("after 1s")
    assert list(over(story).values()) == ["its task is no longer a triggered task of the config"]


def test_a_task_that_goes_while_no_supervisor_runs_loses_what_waits() -> None:
    story = told(TASK, "task other kind=triggered", "start")
    answer = one(asked(story, "run job --in 2h"))
    story.do("SIGTERM")
    story.do("after 1s")
    story.do("remove job")
    story.do("start")
    story.do("after 1s")
    assert over(story)[answer["firing"]] == "its task is no longer a triggered task of the config"
    assert any("is skipped, as the task has gone" in line for line in story.world.log)


def test_the_same_key_is_the_same_firing_while_it_waits_runs_and_is_over() -> None:
    story = told(f"{TASK} overlap=allow max_parallel=5", *["job will exit 3 after 1m"] * 2, "start")
    first = one(asked(story, "run job --id a --in 1m"))
    assert one(asked(story, "run job --id a --in 5m"))["firing"] == first["firing"]
    story.do("after 61s")
    assert one(asked(story, "run job --id a"))["run"] == "job:1/1@e"
    waiting = asked(story, "run job --id a --wait")
    story.do("after 2m")
    assert (one(waiting)["outcome"], one(waiting)["firing"]) == ("failed", first["firing"])
    again = one(asked(story, "run job --id a --wait"))
    assert (again["outcome"], again["ok"], again["firing"]) == ("failed", False, first["firing"])
    assert one(asked(story, "run job --id b"))["firing"] != first["firing"]
    story.do("after 1h")
    assert one(asked(story, "run job --id a"))["firing"] != first["firing"]
    assert sum(began(story).values()) == 3


def test_a_key_belongs_to_its_task() -> None:
    story = told(TASK, "task other kind=triggered", "start")
    assert one(asked(story, "run job --id a"))["firing"] != one(asked(story, "run other --id a"))["firing"]


def test_while_timekeeper_restarts_a_request_waits_for_it() -> None:
    story = told(TASK, "start", "after 1s", "@timekeeper dies of SIGKILL")
    story.do("supctl run job")
    client = story.clients[-1]
    assert not client.done
    story.do("after 5s")
    assert one(client)["outcome"] == "running"
    assert sum(began(story).values()) == 1


def test_cancel_takes_back_what_waits() -> None:
    story = told(TASK, "start")
    later = one(asked(story, "run job --in 1h"))["firing"]
    waiting = asked(story, "run job --in 1h --wait")
    answer = one(asked(story, f"cancel {later} as ann"))
    assert (answer["outcome"], answer["ok"]) == ("cancelled", True)
    assert over(story) == {later: "cancelled by ann"}
    again = asked(story, f"cancel {later}")
    assert again.exit_code == 1
    assert again.refused
    assert "it was skipped: cancelled by ann" in again.refused
    assert not waiting.done
    story.do("after 2h")
    assert len(began(story)) == 1


@pytest.mark.parametrize("by", ["run", "firing", "short"])
def test_cancel_ends_a_run_which_is_neither_failure_nor_success(by: str) -> None:
    story = told("supervisor notify", TASK, "job will stop in 2s", "start")
    begun = one(asked(story, "run job"))
    waiting = asked(story, "run job --id x") if by == "" else None
    assert waiting is None
    named = {"run": begun["run"], "firing": begun["firing"], "short": "job/1"}[by]
    client = asked(story, f"cancel {named} as ann")
    assert not client.done
    story.do("after 3s")
    assert one(client)["ok"]
    assert over(story)[begun["firing"]].startswith("ran: cancelled by ann: ")
    (success,) = story.world.firings._db.execute("SELECT success FROM over").fetchone()
    assert success is None
    assert story.instance("job").last.asked == "cancelled by ann"
    assert not story.world.told, "no alert"
    again = asked(story, f"cancel {begun['firing']}")
    assert again.exit_code == 1
    assert again.refused
    assert "is over since" in again.refused


def test_cancel_ends_a_run_that_would_be_restarted() -> None:
    story = told(f"{TASK} restart=on-failure initial=60", "job will exit 1 after 1s", "start")
    begun = one(asked(story, "run job"))
    story.do("after 2s")
    assert story.instance("job").state == "backoff"
    assert one(asked(story, f"cancel {begun['firing']}"))["ok"]
    story.do("after 5m")
    assert sum(began(story).values()) == 1


def test_cancel_while_frozen_and_of_what_cannot_be_cancelled() -> None:
    story = told(TASK, "task web", "start", "supctl freeze")
    held = one(asked(story, "run job"))["firing"]
    assert one(asked(story, f"cancel {held}"))["outcome"] == "cancelled"
    for line, code, words in (
        ("cancel nothing/manual/1", 4, "no run and no firing"),
        ("cancel job", 4, "is no run and no firing"),
        ("cancel web:1/1", 1, "`supctl stop web` stops it"),
        ("cancel @timekeeper:1/1", 1, "part of the supervisor"),
    ):
        client = asked(story, line)
        assert (client.exit_code, words in (client.refused or "")) == (code, True), client.refused


def test_stop_takes_back_what_waits_now_and_tells_the_client() -> None:
    story = told("task db start_timeout=60", f"{TASK} after=db", "db will hang 30s", "start")
    client = asked(story, "run job --wait")
    later = one(asked(story, "run job --in 1h"))["firing"]
    asked(story, "stop job")
    assert client.refused
    assert "stopped by root" in client.refused
    assert story.parent
    assert story.parent.firing_runs.firings.find(later)


def test_a_shutdown_answers_those_who_wait_and_the_firing_stays() -> None:
    story = told(TASK, "start", "supctl freeze")
    client = asked(story, "run job --wait")
    story.do("SIGTERM")
    story.do("after 1s")
    assert "waits for its next start" in one(client)["text"]
    story.do("start")
    asked(story, "thaw")
    assert sum(began(story).values()) == 1


def test_during_a_shutdown_nothing_new_is_taken() -> None:
    story = told("task slow", "slow will stop in 5s", TASK, "start", "after 1s", "SIGTERM")
    client = asked(story, "run job")
    assert client.refused
    assert "shutting down" in client.refused


def test_a_client_follows_a_firing_again_by_its_id() -> None:
    story = told(TASK, "job will exit 3 after 1m", "start")
    first = one(asked(story, "run job"))["firing"]
    story.do("crash")
    story.do("start")
    again = asked(story, f"ticket {first}")
    assert not again.done
    story.do("after 2m")
    ticket = again.answers[0]["ticket"]
    assert (ticket["exit"], ticket["answer"]["instances"][0]["outcome"]) == (1, "failed")
    unknown = asked(story, "ticket job/manual/7")
    assert unknown.answers[0]["ticket"]["exit"] == 4


def test_what_waits_is_shown() -> None:
    story = told(TASK, "start", "supctl freeze")
    asked(story, "run job as ann")
    asked(story, "run job --in 1h as ann")
    why = asked(story, "why job").answers[0]["instances"][0]["why"]
    assert "asked for by ann: frozen by root" in why
    assert "fires next at 2026-" in why
    (shown,) = asked(story, "schedule job").answers[0]["tasks"]
    assert [one["by"] for one in shown["waiting"]] == ["ann"]
    assert [trigger for _, trigger, _, _ in shown["coming"]] == ["manual"]


def test_an_answer_has_only_the_first_firings_that_wait() -> None:
    story = told(TASK, "start", "supctl freeze")
    asked_for = [one(asked(story, f"run job -- {number}"))["firing"] for number in range(WAITING + 5)]
    (shown,) = asked(story, "schedule job").answers[0]["tasks"]
    ids = [row["id"] for row in shown["waiting"]]
    assert (ids, shown["count_waiting"]) == (asked_for[:WAITING], WAITING + 5)


def ends(story: Scenario, firing: str) -> str:
    """Go on, and return how the firing has ended."""
    if story.parent is None:
        story.do("start")
    story.do("after 20s")
    return over(story)[firing]


def committed(story: Scenario) -> list[str]:
    return [firing.id for firing, _, _ in story.world.firings.firings()] + list(over(story))


@pytest.mark.parametrize("also", ["", "power fails"])
def test_the_supervisor_dies_at_each_call_after_a_request(also: str) -> None:
    """A firing that is on disk becomes one run, or is reported as interrupted. One that is not is never begun."""
    calls, lost = 0, 0
    while True:
        calls += 1
        story = told(TASK, *["job will exit 0 after 300ms"] * 9, "start", "after 1s", f"crash in {calls} calls")
        story.do("supctl run job")
        story.do("after 2s")
        if story.parent is not None:
            break
        if also:
            story.do(also)
        story.do("start")
        story.do("after 20s")
        runs, known = began(story), committed(story)
        lost += not known
        assert max(runs.values(), default=0) <= 1, runs
        for firing in known:
            how = over(story)[firing]
            assert how.startswith("ran: exit 0") or "interrupted" in how or "unknown" in how, how
            assert runs[firing] == 1 or "interrupted" in how
    assert calls > 20
    assert lost < calls / 2


@pytest.mark.parametrize("also", ["", "power fails"])
def test_a_firing_of_which_a_client_knows_that_it_was_skipped_never_runs(also: str) -> None:
    """The supervisor dies at each call between the decision and its commit, and then the run in the way ends."""
    calls, told_of = 0, 0
    while True:
        calls += 1
        story = told(TASK, "start", "after 1s", "supctl run job", "after 1s", f"crash in {calls} calls")
        story.do("supctl run job --wait")
        client = story.clients[-1]
        story.do("after 2s")
        if story.parent is not None:
            break
        story.do(also or "job exits 0")
        story.do("start")
        story.do("after 20s")
        skipped = [identity for identity, how in over(story).items() if "was still on" in how]
        if client.refused:
            told_of += 1
            assert len(skipped) == 1, over(story)
        assert not set(skipped) & began(story).keys()
        assert max(began(story).values()) == 1
    assert told_of > 0
    assert "was still on" in str(client.refused)


def test_a_skip_is_told_when_it_is_on_disk_and_stays_one_whatever_dies() -> None:
    story = told(TASK, "start", "after 1s", "supctl run job", "after 1s")
    second = asked(story, "run job --in 2s --wait")
    story.do("firings full")
    story.do("after 3s")
    assert [one for one in story.world.spooled if one.get("skipped") == "run job:1/1@e was still on"]
    assert not second.done, "a loss of power would let it run"
    story.do("crash")
    story.do("job exits 0")
    story.do("firings free")
    story.do("start")
    story.do("after 20s")
    assert sum(began(story).values()) == 1
    assert list(over(story).values()).count("run job:1/1@e was still on") == 1


@pytest.mark.parametrize("also", ["", "crash"])
def test_timekeeper_dies_at_each_moment_after_a_request(also: str) -> None:
    for moment in range(16):
        story = told(TASK, *["job will exit 0 after 300ms"] * 9, "start", "after 1s", "supctl run job")
        client = story.clients[-1]
        story.do(f"after {moment * 0.5}ms")
        story.do("@timekeeper dies of SIGKILL")
        if also:
            story.do(also)
            story.do("start")
        story.do("after 20s")
        runs = began(story)
        assert max(runs.values(), default=0) <= 1
        if not also:
            assert client.done
            assert sum(runs.values()) == 1
        assert all(how.startswith("ran: ") for how in over(story).values())


def test_a_full_disk_delays_a_request_and_loses_none() -> None:
    story = told(TASK, "job will exit 0 after 1s", "start", "after 1s", "firings full")
    story.do("supctl run job --wait")
    client = story.clients[-1]
    story.do("after 5s")
    assert not client.done
    story.do("firings free")
    story.do("after 2m")
    assert one(client)["outcome"] == "done"


def test_requests_are_refused_while_timekeeper_writes_nothing() -> None:
    """As many are kept as can run and wait; their clients need not be there any more."""
    story = told(f"{TASK} overlap=queue max_waiting=3", *["job will exit 0 after 1s"] * 9, "start", "after 1s")
    story.do("firings full")
    for _ in range(4):
        story.do("supctl run job")
        story.clients[-1].on_close()
    refused = asked(story, "run job")
    assert refused.exit_code == 1
    assert refused.refused == ("job: @timekeeper does not answer: 4 requests wait for it (max_waiting); try again")
    story.do("firings free")
    story.do("after 2m")
    assert len(over(story)) == 4
    assert one(asked(story, "run job"))["outcome"] == "running"


def test_large_requests_are_refused_while_timekeeper_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firings, "MOST_BYTES", firings.MOST_BYTES // 16)
    story = told(f"{TASK} overlap=queue max_waiting=10000", "start", "after 1s", "firings full")
    while (client := asked(story, f"run job -- {'x' * 90_000}")).refused is None:
        assert len(story.clients) < 20
    assert "@timekeeper does not answer: the requests that wait for it are too large" in client.refused
    assert len(story.clients) > 10
    again = asked(story, "retry job/manual/1")
    assert "@timekeeper does not answer" in str(again.refused)


def test_firings_that_are_not_yet_written_count_for_max_waiting() -> None:
    story = told(f"{TASK} max_waiting=2", "start", "after 1s", "firings full")
    for _ in range(2):
        story.do("supctl run job --in 1h")
    assert asked(story, "run job --in 1h").refused == "job: 2 firings by hand wait already (max_waiting)"


@pytest.mark.parametrize("verb", ["ticket", "cancel", "retry"])
def test_questions_whose_clients_have_gone_do_not_pile_up(verb: str) -> None:
    story = told(TASK, "start", "after 1s", "firings full")
    for number in range(2 * MOST):
        story.do(f"supctl {verb} job/manual/{number}")
        story.clients[-1].on_close()
    assert story.parent
    assert len(story.parent.firing_runs._finds) <= MOST
    story.do("firings free")
    story.do("after 2m")
    assert not story.parent.firing_runs._finds


def test_clients_that_wait_cost_nothing_while_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    story = told(TASK, "start", "after 1s")
    for _ in range(20):
        asked(story, "run job --in 1d --wait")
    checked: list[str] = []
    monkeypatch.setattr(ByHand, "_check", lambda _, follow: checked.append(follow.id))
    for _ in range(5):
        asked(story, "status")
    assert not checked
    asked(story, "freeze")
    assert len(checked) >= 20


def test_a_firing_of_an_earlier_supervisor_is_cancelled_by_its_id_at_once() -> None:
    story = told(f"{TASK} restart=on-failure initial=60", "job will exit 1 after 1s", "start")
    firing = one(asked(story, "run job"))["firing"]
    story.do("after 2s")
    story.do("crash")
    story.do("start")
    story.do(f"supctl cancel {firing}")
    story.do("after 5m")
    assert one(story.clients[-1])["ok"]
    assert sum(began(story).values()) == 1


@pytest.mark.parametrize("words", ["--in 1h", "--id a", "--wait --id a"])
def test_what_must_be_kept_on_disk_is_refused_also_when_the_disk_fails_meanwhile(words: str) -> None:
    story = told(TASK, "start", "after 1s", "firings full")
    client, other = asked(story, f"run job {words}"), asked(story, "run job")
    story.world.only_in_memory = "the disk is full"
    story.do("firings free")
    story.do("after 2m")
    assert client.refused == "job: --id, --in and --at must be kept on disk, but the disk is full"
    assert client.exit_code == 1
    assert began(story) == Counter({one(other)["firing"]: 1})


def test_each_store_row_of_a_firing_by_hand_has_its_person() -> None:
    story = told(TASK, "job will exit 0 after 1s", "start")
    asked(story, "run job as ann")
    story.do("after 2s")
    story.world.firings._db.row_factory = sqlite3.Row
    row = story.world.firings._db.execute("SELECT * FROM over").fetchone()
    assert (row["person"], row["trigger"], row["success"], row["key"]) == ("ann", "manual", 1, None)
