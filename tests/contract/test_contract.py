"""The promises of `host/interface.py` on every machine: what the simulation assumes is true."""

from pathlib import Path
from typing import Any

import pytest
from contract.machine import POLICY, TO_ALL, TO_MAIN, Machine, answer

from supervisor.core.events import Emptied, Exited, Killed, NotStarted, Paused, Probed, Started, Status
from supervisor.core.immutable import replace
from supervisor.host.interface import Breached, CannotForkError, Done, Dropped, ProcessEnded, Stalled
from supervisor.runs.members import ByMark


def ended(seen):
    return any(isinstance(one, (Exited, NotStarted)) for one in seen)


def emptied(seen):
    return any(isinstance(one, Emptied) for one in seen)


# -- up ---------------------------------------------------------------------------------------------------------------


def test_nothing_of_the_task_runs_before_go(machine: Machine):
    run = machine.fork("sleeps")
    assert run.pid > 1
    assert run.birth > 0
    assert machine.quiet(0.1) == []
    assert machine.alive(run)
    assert not machine.has_run()
    machine.host.send_go("web:1")
    assert machine.until(bool) == [Started(1)]
    machine.is_ready()


def test_a_program_that_is_missing(machine: Machine):
    machine.fork("is missing")
    machine.host.send_go("web:1")
    assert machine.until(ended) == [NotStarted(1, "exec /nowhere/program: No such file or directory")]
    assert machine.quiet(0.05) == []


@pytest.mark.parametrize(
    ("how", "status"), [("exits 3", Status(3)), ("dies of SIGUSR1", Status(None, "SIGUSR1"))], ids=str
)
def test_the_exit_status_is_reported(machine: Machine, how: str, status: Status):
    machine.fork(how)
    machine.host.send_go("web:1")
    assert machine.until(ended) == [Started(1), Exited(1, status, empty=True)]


def test_two_simultaneous_ends_are_distinguished(machine: Machine):
    machine.start("sleeps", "web:1")
    second = machine.start("sleeps", "web:2")
    machine.host.destroy([("web:2", second)])
    assert machine.until(ended) == [Exited(2, Status(None, "SIGKILL"), empty=True)]


def test_an_abandoned_child_has_executed_nothing(machine: Machine):
    run = machine.fork("sleeps")
    machine.host.abandon("web:1", "cannot write the journal: No space left on device")
    assert machine.until(ended) == [NotStarted(1, "cannot write the journal: No space left on device")]
    machine.gone(run)
    assert not machine.has_run()
    machine.host.abandon("other:1", "nobody is meant")
    assert machine.quiet(0.05) == []
    machine.start("sleeps")


# -- down -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [POLICY, TO_MAIN], ids=["to group", "to main"])
def test_the_stop_signal(machine: Machine, policy):
    run = machine.start("sleeps")
    machine.host.terminate("web:1", run, policy)
    assert machine.until(ended) == [Exited(1, Status(None, "SIGTERM"), empty=True)]
    assert not machine.alive(run)


def test_sigkill_ends_a_process_that_ignores_the_stop_signal(machine: Machine):
    run = machine.start("ignores SIGTERM")
    machine.host.terminate("web:1", run, POLICY)
    assert machine.quiet(0.1) == []
    assert machine.alive(run)
    machine.host.destroy([("web:1", run)])
    assert machine.until(ended) == [Exited(1, Status(None, "SIGKILL"), empty=True)]


def test_a_stop_before_go(machine: Machine):
    run = machine.fork("sleeps")
    machine.quiet(0.05)
    machine.host.terminate("web:1", run, POLICY)
    seen = machine.until(ended)
    assert seen[-1] == Exited(1, Status(None, "SIGTERM"), empty=True)
    assert not machine.has_run()


def test_a_signal_for_another_run_is_not_sent(machine: Machine):
    run = machine.start("sleeps")
    other = replace(run, number=run.number + 1)
    machine.host.terminate("web:1", other, POLICY)
    machine.host.destroy([("web:1", other)])
    machine.host.destroy([("other:1", run)])
    assert machine.quiet(0.1) == []
    assert machine.alive(run)


def test_processes_that_the_main_process_leaves(machine: Machine):
    run = machine.fork("leaves one")
    machine.host.send_go("web:1")
    assert machine.until(ended) == [Started(1), Exited(1, Status(0), empty=False)]
    assert machine.quiet(0.1) == []
    machine.host.terminate("web:1", run, TO_MAIN)  # its leader is gone, so the group is meant
    assert machine.until(emptied) == [Emptied(1)]


def test_processes_that_the_main_process_leaves_and_that_ignore_the_stop_signal(machine: Machine):
    run = machine.fork("leaves a stubborn one")
    machine.host.send_go("web:1")
    machine.until(ended)
    machine.host.terminate("web:1", run, POLICY)
    assert machine.quiet(0.1) == []
    machine.host.destroy([("web:1", run)])
    killed, over = machine.until(emptied)
    assert isinstance(killed, Killed)
    assert over == Emptied(1)


# -- what is not in the process group ---------------------------------------------------------------------------------


def test_a_stop_signal_to_all(machine: Machine):
    run = machine.start("has a stray")
    machine.host.terminate("web:1", run, TO_ALL)
    assert ended(until_empty(machine))


def test_the_remaining_processes_of_a_stopped_run_get_the_stop_signal(machine: Machine):
    run = machine.start("has a stray")
    machine.host.terminate("web:1", run, POLICY)
    assert machine.until(ended) == [Exited(1, Status(None, "SIGTERM"), empty=False)], "the signal was for the group"
    assert machine.quiet(0.1) == []
    machine.host.terminate("web:1", run, POLICY)
    assert machine.until(emptied) == [Emptied(1)]


@pytest.mark.parametrize("how", ["leaves a stray", "leaves one of each"])
def test_a_process_outside_of_the_group_keeps_the_run_alive(machine: Machine, how: str):
    run = machine.start(how)
    machine.until(ended)
    machine.host.terminate("web:1", run, TO_MAIN)
    assert machine.until(emptied) == [Emptied(1)]


def test_a_process_outside_of_the_group_that_ignores_the_stop_signal_is_killed(machine: Machine):
    """The processes that SIGKILL hit are reported before the run is over."""
    run = machine.start("leaves a stubborn stray")
    machine.until(ended)
    machine.host.terminate("web:1", run, POLICY)
    assert machine.quiet(0.1) == []
    machine.host.destroy([("web:1", run)])
    killed, over = machine.until(emptied)
    assert isinstance(killed, Killed)
    assert (len(killed.names), killed.left) == (1, ())
    assert over == Emptied(1)


def test_sigkill_hits_every_process_of_a_run(machine: Machine):
    run = machine.start("has a stray")
    machine.host.destroy([("web:1", run)])
    seen = until_empty(machine)
    assert [len(one.names) for one in seen if isinstance(one, Killed)] == [1]


UNMARKED = ["has an unmarked child", "has an unmarked stray", "has an unmarked orphan"]


@pytest.mark.parametrize("how", UNMARKED)
def test_a_process_that_dropped_its_mark_belongs_to_the_run(machine: Machine, how: str):
    run = machine.start(how)
    machine.host.terminate("web:1", run, POLICY)
    assert machine.until(ended) == [Exited(1, Status(None, "SIGTERM"), empty=False)]
    machine.host.destroy([("web:1", run)])
    killed, over = machine.until(emptied)
    assert isinstance(killed, Killed)
    assert (len(killed.names), killed.left) == (1, ())
    assert over == Emptied(1)


@pytest.mark.parametrize("how", UNMARKED)
def test_sigkill_finds_a_process_that_dropped_its_mark(machine: Machine, how: str):
    run = machine.start(how)
    machine.host.destroy([("web:1", run)])
    seen = until_empty(machine)
    assert [len(one.names) for one in seen if isinstance(one, Killed)] == [1]


@pytest.mark.parametrize("how", UNMARKED)
def test_a_process_that_dropped_its_mark_belongs_to_an_adopted_run(machine: Machine, how: str):
    run = machine.life(lambda: machine.start(how))
    assert machine.host.adopt("web:1", run) is True
    machine.host.terminate("web:1", run, POLICY)
    [over] = machine.until(ended)
    assert over.empty is False
    machine.host.destroy([("web:1", run)])
    machine.until(emptied)


def kept(machine: Machine, code: int) -> Status | None:
    """The status of a run that ended before it was adopted: the spawner has kept its pidfd."""
    return Status(code) if machine.kernel_tells else None


def test_the_end_of_an_adopted_run_is_reported_at_once(machine: Machine):
    """Its orphans are not our children, so no SIGCHLD reports their end."""

    def begin():
        run = machine.start("leaves a stray")
        machine.until(ended)
        return run

    run = machine.life(begin)
    assert machine.host.adopt("web:1", run) is True
    assert machine.until(ended) == [Exited(1, kept(machine, 0), empty=False)]
    machine.host.terminate("web:1", run, POLICY)
    assert machine.until(emptied) == [Emptied(1)]


def test_the_main_process_of_an_adopted_run_leaves_processes(machine: Machine):
    run = machine.life(lambda: machine.start("has a stray"))
    assert machine.host.adopt("web:1", run) is True
    machine.host.signal("web:1", "SIGKILL")
    status = Status(None, "SIGKILL") if machine.kernel_tells else None
    assert machine.until(ended) == [Exited(1, status, empty=False)]
    machine.host.destroy([("web:1", run)])
    machine.until(emptied)


def until_empty(machine: Machine):
    """What is told until nothing of the run is left."""
    over = machine.until(lambda seen: any(isinstance(one, Emptied) or getattr(one, "empty", False) for one in seen))
    assert machine.quiet(0.05) == []
    return over


def test_any_signal_to_the_main_process(machine: Machine):
    machine.start("sleeps")
    assert machine.host.signal("web:1", "SIGUSR2") is True
    assert machine.until(ended) == [Exited(1, Status(None, "SIGUSR2"), empty=True)]
    assert machine.host.signal("web:1", "SIGUSR2") is False
    assert machine.host.signal("other:1", "SIGUSR2") is False


# -- standing still ---------------------------------------------------------------------------------------------------


def standing(seen):
    return any(isinstance(one, Paused) for one in seen)


def test_a_paused_run_does_nothing_until_it_is_resumed(machine: Machine):
    run = machine.start("exits 3 soon")
    machine.host.pause("web:1", run)
    assert machine.until(standing) == [Paused(1)]
    assert machine.quiet(0.4) == []
    assert machine.alive(run)
    machine.host.resume("web:1", run)
    assert machine.until(ended) == [Exited(1, Status(3), empty=True)]


def test_a_stop_signal_is_pending_at_a_resume(machine: Machine):
    run = machine.start("sleeps")
    machine.host.pause("web:1", run)
    machine.until(standing)
    machine.host.terminate("web:1", run, POLICY)
    machine.host.resume("web:1", run)
    assert machine.until(ended) == [Exited(1, Status(None, "SIGTERM"), empty=True)]


@pytest.mark.parametrize("how", ["ignores SIGTERM", "has a stray"])
def test_sigkill_ends_a_paused_run(machine: Machine, how: str):
    run = machine.start(how)
    machine.host.pause("web:1", run)
    machine.until(standing)
    machine.host.destroy([("web:1", run)])
    until_empty(machine)
    assert not machine.alive(run)


def test_a_pause_of_another_run_is_ignored(machine: Machine):
    run = machine.start("exits 3 soon")
    machine.host.pause("web:1", replace(run, number=run.number + 1))
    machine.host.pause("other:1", run)
    machine.host.resume("other:1", run)
    assert machine.until(ended) == [Exited(1, Status(3), empty=True)]


def test_a_pause_without_a_cgroup_waits_for_nothing(machine: Machine, monkeypatch: pytest.MonkeyPatch):
    """The kernel does not report when a SIGSTOP has arrived, so the machine is not examined again for that."""
    watched: list[object] = []
    run = machine.start("sleeps")
    monkeypatch.setattr(ByMark, "watch", lambda rest, told: watched.append(rest))
    machine.host.pause("web:1", run)
    assert machine.until(standing) == [Paused(1)]
    assert watched == []


def test_a_run_paused_twice_is_resumed_by_one_resume(machine: Machine):
    run = machine.start("exits 3 soon")
    for _ in range(2):
        machine.host.pause("web:1", run)
        machine.until(standing)
    machine.host.resume("web:1", run)
    machine.host.resume("web:1", run)
    assert machine.until(ended) == [Exited(1, Status(3), empty=True)]


def test_a_pause_of_an_earlier_supervisor_is_resumed(machine: Machine):
    def begin():
        run = machine.start("exits 3 soon")
        machine.host.pause("web:1", run)
        machine.until(standing)
        return run

    run = machine.life(begin)
    assert machine.host.adopt("web:1", run) is True
    assert machine.quiet(0.4) == []
    machine.host.pause("web:1", run)  # as a supervisor does that is not sure
    assert machine.until(standing) == [Paused(1)]
    machine.host.resume("web:1", run)
    status = Status(3) if machine.kernel_tells else None
    assert machine.until(ended) == [Exited(1, status, empty=True)]


# -- questions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("well", Probed(1, ok=True)),
        ("exit 1", Probed(1, ok=False, text="its command ended with exit 1")),
        (
            "missing",
            Probed(1, ok=False, text="its command cannot be run: exec /nowhere/program: No such file or directory"),
        ),
    ],
    ids=str,
)
def test_a_probe_is_answered_once(machine: Machine, answer: str, told: Probed):
    run = machine.start("sleeps")
    machine.question(run, answer, timeout=5)
    assert machine.until(bool) == [told]
    assert machine.quiet(0.05) == []
    machine.host.terminate("web:1", run, POLICY)
    assert machine.until(ended) == [Exited(1, Status(None, "SIGTERM"), empty=True)]


def test_a_probe_has_a_timeout(machine: Machine):
    run = machine.start("sleeps")
    began = machine.host.now()
    machine.question(run, "nothing", timeout=0.2)
    [told] = machine.until(bool)
    assert (told.run, told.ok) == (1, False)
    assert told.text
    assert machine.host.now() - began >= 0.2
    assert machine.quiet(0.05) == []


# -- one supervisor after another -------------------------------------------------------------------------------------


def test_a_child_that_waits_ends_with_its_parent(machine: Machine):
    run = machine.life(lambda: machine.fork("sleeps"))
    machine.gone(run)
    assert not machine.has_run()


def test_a_run_outlives_its_parent_and_is_adopted(machine: Machine):
    run = machine.life(lambda: machine.start("sleeps"))
    assert machine.host.adopt("web:1", run) is True
    assert machine.quiet(0.1) == []
    machine.host.terminate("web:1", run, POLICY)
    status = Status(None, "SIGTERM") if machine.kernel_tells else None  # an older kernel tells only its parent
    assert machine.until(ended) == [Exited(1, status, empty=True)]


def test_an_ended_run_is_not_adopted(machine: Machine):
    def begin():
        run = machine.start("sleeps")
        machine.host.destroy([("web:1", run)])
        machine.until(ended)
        return run

    run = machine.life(begin)
    assert machine.host.adopt("web:1", run) is False
    assert machine.host.post_mortem(run) == (Status(None, "SIGKILL") if machine.kernel_tells else None)


def test_another_process_with_the_same_pid_is_not_adopted(machine: Machine):
    run = machine.life(lambda: machine.start("sleeps"))
    other = replace(run, birth=run.birth - 100, id="web:1/1@other", cgroup="")
    assert machine.host.adopt("web:1", other) is False
    assert machine.alive(run)


# -- processes that are no runs ---------------------------------------------------------------------------------------


def test_the_end_of_a_process_that_is_watched_is_reported(machine: Machine):
    first, second = machine.stranger(), machine.stranger()
    for name, pid in (("first", first), ("second", second)):
        assert machine.host.birth_of(pid) > 0
        machine.host.watch_process(name, pid, machine.host.birth_of(pid))
    machine.end_stranger(second)
    assert machine.until(lambda seen: ProcessEnded("second") in seen) == [ProcessEnded("second")]
    machine.host.unwatch_process("second")
    machine.host.unwatch_process("first")
    machine.end_stranger(first)
    assert machine.quiet(0.2) == []


def test_a_process_that_has_ended_cannot_be_watched(machine: Machine):
    pid = machine.stranger()
    birth = machine.host.birth_of(pid)
    machine.host.watch_process("it", pid, birth)
    machine.end_stranger(pid)
    machine.until(lambda seen: ProcessEnded("it") in seen)
    with pytest.raises(ProcessLookupError):
        machine.host.watch_process("it", pid, birth)


def test_another_process_with_the_same_pid_is_not_watched(machine: Machine):
    pid = machine.stranger()
    with pytest.raises(ProcessLookupError):
        machine.host.watch_process("it", pid, machine.host.birth_of(pid) - 1)
    machine.end_stranger(pid)
    assert machine.quiet(0.2) == []


def test_the_remaining_processes_of_a_run_are_adopted(machine: Machine):
    """The main process has ended, others of its group live: the run is not empty, so nothing may start yet."""

    def begin():
        run = machine.fork("leaves a stubborn one")
        machine.host.send_go("web:1")
        machine.until(ended)
        return run

    run = machine.life(begin)
    assert machine.host.adopt("web:1", run) is True
    assert machine.until(ended) == [Exited(1, kept(machine, 0), empty=False)]
    machine.host.destroy([("web:1", run)])
    killed, over = machine.until(emptied)
    assert isinstance(killed, Killed)
    assert over == Emptied(1)
    assert machine.host.signal("web:1", "SIGUSR1") is False


# -- time, errands, memory --------------------------------------------------------------------------------------------


def test_a_stall_is_reported(machine: Machine):
    """It is reported before all events that waited: no deadline may expire before it."""
    machine.host.wait(machine.host.now())
    machine.stall(3.0)
    told: list[Any] = []
    while not any(isinstance(one, Stalled) for one in told):
        told = machine.host.wait(machine.host.now() + 1.0)
    assert isinstance(told[0], Stalled)
    assert told[0].seconds >= 1.0


def test_wait_ends_at_its_deadline(machine: Machine):
    deadline = machine.host.now() + 0.05
    assert machine.host.wait(deadline) == []
    assert machine.host.now() >= deadline - 0.001
    assert machine.host.wait(deadline - 1) == []


def test_stamp_and_moment_are_inverse(machine: Machine):
    at = machine.host.now() + 100
    stamp = machine.host.stamp(at)
    assert len(stamp) == len("2026-11-21T14:02:11.123Z")
    assert stamp.endswith("Z")
    off = min(abs(machine.host.moment(machine.host.stamp(at)) - at) for _ in range(20))  # we may be held up in between
    assert off < 0.01


def test_an_errand_is_answered(machine: Machine):
    number = machine.host.errand(str.upper, "text")
    assert machine.until(answer) == [Done(number, "TEXT")]


def test_a_failed_errand_reports_the_reason(machine: Machine):
    first = machine.host.errand(open, "/nowhere/file")
    assert machine.until(answer) == [Done(first, None, "No such file or directory: /nowhere/file")]
    second = machine.host.errand(int, "x")
    assert second != first
    text = "ValueError: invalid literal for int() with base 10: 'x'"
    assert machine.until(answer) == [Done(second, None, text)]


def test_the_newest_record_is_remembered(machine: Machine):
    web, other = {"instance": "web:1", "state": "held"}, {"fleet": "scales", "scales": {"web": 2}}
    machine.host.remember([web, other, {"instance": "old:1"}])
    machine.host.remember([web | {"state": "running"}, {"instance": "old:1", "gone": True}])
    assert machine.facts() == {"web:1": web | {"state": "running"}, "fleet scales": other}


def test_a_manifest_is_accepted_and_a_silent_run_has_no_unread_output(machine: Machine, place: Path):
    machine.start("sleeps")
    machine.host.publish_manifest(str(place), {"tasks": {}, "instances": ["web:1"]})
    assert machine.host.unread("web:1") == machine.host.unread("nobody:1") == 0


def test_the_state_of_a_process(machine: Machine, place: Path):
    """The kernel tells whether it sleeps, runs or is stopped. A process that has ended has no state."""
    assert machine.host.state_of("web:1") == ""
    machine.start("sleeps")
    assert machine.host.state_of("web:1") in ("S", "R", "D")
    assert machine.host.state_of("nobody:1") == ""


def test_lost_output_is_reported(machine: Machine, place: Path):
    machine.host.publish_manifest(str(place), {"tasks": {}, "instances": ["web:1"]})
    assert machine.quiet(0.05) == []
    assert machine.host.losses() == {}
    sums = {"web:1": {"bytes": 10, "lines": 1, "why": "No space left on device", "at": machine.host.stamp()}}
    for _ in range(2):
        machine.lose(sums)
        assert machine.until(bool) == [Dropped()]
        assert machine.host.losses() == sums


def test_a_breach_is_reported(machine: Machine, place: Path):
    limited = {"web": {"limits": {"memory": 1 << 20}}}
    machine.host.publish_manifest(str(place), {"tasks": limited, "instances": ["web:1"]})
    run = machine.start("sleeps")
    assert machine.host.breaches() == {}
    machine.exceed(run, "memory limit 1M")
    assert machine.until(bool) == [Breached()]
    assert machine.host.breaches() == {"web:1": {"run": run.id, "why": "memory limit 1M"}}


def test_a_group_has_no_cgroup_before_its_first_run(machine: Machine):
    assert machine.host.place_of("etl") == ""


def test_a_fork_that_is_refused(machine: Machine, monkeypatch: pytest.MonkeyPatch):
    """The text names the step. Nothing was made, and the next fork is possible."""
    launch = machine.launch("sleeps")
    with monkeypatch.context() as patched:
        machine.refuse(patched)
        with pytest.raises(CannotForkError, match=r"^\w+: Too many open files"):
            machine.host.fork(launch)
    machine.start("sleeps")


def test_without_samples_there_are_no_figures(machine: Machine):
    assert machine.host.samples() == {}


def test_a_posted_file_is_complete_and_replaced_at_once(machine: Machine, place: Path):
    machine.host.publish_manifest(str(place), {"tasks": {}, "instances": []})
    for what in ({"ready": True, "why": []}, {"ready": False, "why": ["ü"] * 1000}):
        machine.host.publish_health(what)
        assert machine.posted("health.json") == what
