"""The shipped unit under a real systemd: each `systemctl` command does what it promises."""

import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from supervisor.core.definition import Settings
from supervisor.host.pidfd import kernel_tells

if TYPE_CHECKING:
    from conftest import Machine, Service, UserService

PROJECT = Path(__file__).parents[2]
UNIT = PROJECT / "systemd" / "supervisor.service"
HARDENING = PROJECT / "systemd" / "hardening.conf"

TWO = """
[task.database]
command = "sleep 1000"
[task.web]
command  = "sleep 1000"
requires = ["database"]
"""

BROKEN = TWO.replace("sleep", "no-such-program")


def test_the_unit_gives_the_supervisor_more_time_than_it_takes() -> None:
    timeout = re.search(r"^TimeoutStopSec=(\d+)$", UNIT.read_text(), re.MULTILINE)
    assert timeout
    assert int(timeout[1]) > Settings("", "", "", "").stop_grace


def test_systemd_finds_nothing_wrong_with_the_unit(machine: "Machine") -> None:
    _, said = machine.run("systemd-analyze", "verify", "/etc/systemd/system/supervisor.service")
    assert _but_for_the_leaf(said) == []


def _but_for_the_leaf(said: str) -> list[str]:
    """What systemd finds wrong; before 254 it does not know DelegateSubgroup=, passes over it, and says so."""
    return [line for line in said.splitlines() if not re.search("Unknown key.* 'DelegateSubgroup'", line)]


def _exposure(machine: "Machine") -> float:
    _, output = machine.run("systemd-analyze", "security", "--no-pager", "supervisor.service")
    level = re.search(r"Overall exposure level for supervisor.service: ([0-9.]+)", output)
    assert level, output
    return float(level[1])


def test_the_exposure_is_the_documented_one(service: "Service") -> None:
    page = (PROJECT / "docs" / "install.md").read_text()
    said = re.search(r"the unit as shipped \| ([0-9.]+) \|\n\| with `hardening.conf` \| ([0-9.]+) \|", page)
    assert said
    assert _exposure(service.machine) <= float(said[1])
    service.drop_in(HARDENING.read_text())
    assert _exposure(service.machine) <= float(said[2])


def test_a_hardened_supervisor_has_users_and_stops_their_tasks(service: "Service") -> None:
    own_tmp = "PrivateTmp=yes\n" * (not sys.prefix.startswith(("/tmp/", "/var/tmp/")))  # where the installation may be
    service.drop_in(HARDENING.read_text().replace("PrivateTmp=yes\n", own_tmp))
    write = "touch /usr/x || echo refused; touch /run/x"
    service.configure(
        '[task.theirs]\ncommand = "sleep 1000"\nuser = "lab"\n'
        f'[task.ours]\ncommand = ["sh", "-c", "{write}; exec sleep 1000"]\n'
    )
    service.systemctl("start")
    service.supctl("start", "--all")
    before = service.pids()
    service.machine.run("systemctl", "kill", "-s", "KILL", "--kill-whom=main", "supervisor")
    service.until("back", lambda: service.show("NRestarts") == "1" and service.show("ActiveState") == "active")
    assert service.pids() == before
    service.systemctl("stop")
    assert service.processes() == []
    assert "refused" in (service.machine.root / "var/log/supervisor/ours.log").read_text()


def test_systemctl_restart_is_a_stop_and_a_start(service: "Service") -> None:
    service.configure(TWO)
    service.systemctl("start")
    service.supctl("start", "--all")
    before = service.pids()
    service.systemctl("restart")
    service.supctl("start", "--all")
    after = service.pids()
    assert not set(before.values()) & set(after.values())
    assert sorted(service.sleepers()) == sorted(_outside(service, after))


def _outside(service: "Service", pids: dict[str, int | None]) -> list[int]:
    """The pids of tasks as they are seen from outside of the machine."""
    wanted = {str(pid) for pid in pids.values()}
    return [pid for pid in service.processes() if _inner(pid) in wanted]


def _inner(pid: int) -> str:
    """The pid inside of the machine; "": the process has ended since it was found."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    status = re.search(r"^NSpid:.*\t(\d+)$", text, re.MULTILINE)
    return status[1] if status else ""


def test_a_user_has_a_supervisor_without_root(user_service: "UserService") -> None:
    user_service.configure('[task.web]\ncommand = "sleep 1000"\n')
    unit = "/home/lab/.config/systemd/user/supervisor.service"
    assert _but_for_the_leaf(user_service.run("systemd-analyze", "--user", "verify", unit)[1]) == []
    user_service.systemctl("start", "supervisor")
    user_service.supctl("start", "web")
    pid = re.search(r"running +(\d+)", user_service.supctl("status", "web"))
    assert pid
    first = user_service.systemctl("show", "-p", "MainPID", "supervisor")
    user_service.systemctl("kill", "-s", "KILL", "--kill-whom=main", "supervisor")
    user_service.until_replaced(first)
    assert re.search(rf"running +{pid[1]}\b", user_service.supctl("status", "web")), "the very same task"
    user_service.systemctl("reload", "supervisor")
    user_service.systemctl("stop", "supervisor")
    assert user_service.run("kill", "-0", pid[1])[0] != 0


def test_start_returns_when_the_startup_tasks_have_finished(service: "Service") -> None:
    gate = service.machine.root / "run/gate"
    gate.unlink(missing_ok=True)
    os.mkfifo(gate)
    service.configure(TWO + '[task.migrate]\nkind = "startup"\ncommand = ["sh", "-c", "read word < /run/gate"]\n')
    with service.machine.start("systemctl", "start", "supervisor") as starting:
        # The task has opened its end: from here on only our word is missing. Until then an open is refused.
        ours: list[int] = []
        service.until("at the gate", lambda: ours or _open(gate, ours))
        assert service.show("ActiveState") == "activating"
        assert service.tasks()["web"]["state"] == "held"
        assert starting.poll() is None
        os.write(ours[0], b"go\n")
        os.close(ours[0])
        assert starting.wait(90) == 0
    assert service.show("ActiveState") == "active"
    service.supctl("start", "web")
    assert service.tasks()["migrate"]["last_exit"]["code"] == 0


def test_start_waits_for_no_task_in_the_background_and_stop_waits_for_one_in_the_foreground(service: "Service") -> None:
    gate = service.machine.root / "run/gate"
    gate.unlink(missing_ok=True)
    os.mkfifo(gate)
    warm = '[task.warm]\nkind = "startup"\nmode = "background"\ncommand = "sleep 1000"\n'
    load = '[task.load]\nkind = "startup"\nmode = "foreground"\ncommand = ["sh", "-c", "read word < /run/gate"]\n'
    service.configure(TWO + warm + load)
    service.systemctl("start")
    assert service.show("ActiveState") == "active"
    service.until("both run", lambda: {service.tasks()[one]["state"] for one in ("warm", "load")} == {"running"})
    with service.machine.start("systemctl", "stop", "supervisor") as stopping:
        ours: list[int] = []
        service.until("at the gate", lambda: ours or _open(gate, ours))
        service.until("the others are stopped", lambda: service.tasks()["warm"]["state"] == "held")
        assert stopping.poll() is None
        assert service.show("ActiveState") == "deactivating"
        assert service.tasks()["load"]["state"] == "running"
        os.write(ours[0], b"go\n")
        os.close(ours[0])
        assert stopping.wait(90) == 0
    assert service.show("ActiveState") == "inactive"


def _open(gate: Path, ours: list[int]) -> None:
    with suppress(OSError):
        ours.append(os.open(gate, os.O_WRONLY | os.O_NONBLOCK))


def test_status_inside_and_the_status_line_of_systemctl(service: "Service") -> None:
    service.configure(TWO)
    service.systemctl("start")
    service.supctl("start", "--all")
    assert re.search(r"^web +running", service.supctl("status"), re.MULTILINE)
    service.until("all running", lambda: service.show("StatusText") == "2 running")
    service.supctl("stop", "web")
    service.until("one running", lambda: service.show("StatusText") == "1 running")


def test_reload_applies_a_good_config(service: "Service") -> None:
    service.configure(TWO)
    service.systemctl("start")
    service.supctl("start", "--all")
    before = service.pids()
    service.configure(TWO + '[task.more]\ncommand = "sleep 1000"\n')
    service.systemctl("reload")
    service.supctl("start", "more")
    assert service.pids().items() > before.items()
    assert service.show("ActiveState") == "active"


def test_reload_of_a_broken_config_fails_and_changes_nothing(service: "Service") -> None:
    service.configure(TWO)
    service.systemctl("start")
    service.supctl("start", "--all")
    before = service.pids()
    service.configure(BROKEN)
    service.systemctl("reload", code=1)
    assert service.pids() == before
    assert service.show("ActiveState") == "active"
    assert "no-such-program" in service.journal()
    assert "the config has errors" in service.supctl("status")
    service.configure(TWO)
    service.systemctl("reload")


def test_reload_or_restart_of_a_running_service_reloads(service: "Service") -> None:
    """Deployment tools use it: the tasks go on. A refused reload does not lead to a restart."""
    service.configure(TWO)
    service.systemctl("start")
    service.supctl("start", "--all")
    before, main = service.pids(), service.show("MainPID")
    service.configure(TWO + '[task.more]\ncommand = "sleep 1000"\n')
    service.systemctl("reload-or-restart")
    service.supctl("start", "more")
    assert service.pids().items() > before.items()
    service.configure(BROKEN)
    service.systemctl("reload-or-restart", code=1)
    assert service.pids().items() > before.items()
    assert (service.show("MainPID"), service.show("ActiveState")) == (main, "active")


def test_the_watchdog_is_fed(service: "Service") -> None:
    service.drop_in("[Service]\nWatchdogSec=1\n")
    service.configure(TWO)
    service.systemctl("start")
    first, fed = service.show("MainPID"), set()

    def fed_often() -> bool:
        fed.add(service.show("WatchdogTimestampMonotonic"))
        return len(fed) >= 6  # two a second: longer than the watchdog waits

    service.until("fed", fed_often)
    assert (service.show("MainPID"), service.show("NRestarts")) == (first, "0")


def test_a_supervisor_that_hangs_is_restarted_and_its_tasks_go_on(service: "Service") -> None:
    service.drop_in("[Service]\nWatchdogSec=1\n")
    service.configure(TWO)
    service.systemctl("start")
    service.supctl("start", "--all")
    before, hung = service.pids(), service.show("MainPID")
    service.machine.run("kill", "-STOP", hung)
    service.until("replaced", lambda: service.show("MainPID") not in (hung, "0"))
    service.until("active", lambda: service.show("ActiveState") == "active")
    assert service.pids() == before


def test_a_start_while_frozen_succeeds(service: "Service") -> None:
    service.configure("[supervisor]\nfreeze = true\n" + TWO)
    service.systemctl("start")
    assert service.show("ActiveState") == "active"
    assert {task["state"] for task in service.tasks().values()} == {"held"}
    assert service.pids() == {"database": None, "web": None}
    assert service.sleepers() == []
    assert "frozen" in service.show("StatusText")


def test_a_config_error_causes_no_restart_loop(service: "Service") -> None:
    service.configure(TWO.replace("command", "comand"))
    service.systemctl("start", code=1)
    seen = {name: service.show(name) for name in ("ActiveState", "SubState", "ExecMainStatus", "NRestarts")}
    assert seen == {"ActiveState": "failed", "SubState": "failed", "ExecMainStatus": "78", "NRestarts": "0"}
    assert service.journal().count("comand: unknown key") >= 2, "both errors are reported"


def test_a_missing_command_keeps_only_its_own_task_down(service: "Service") -> None:
    """The unit is active, and the task starts as soon as its program exists."""
    program = service.machine.root / "run/late/program"
    late = '[task.late]\ncommand = "/run/late/program"\nbackoff = { max = "200ms" }\n'
    service.configure(TWO + late)
    service.systemctl("start")
    service.until("up", lambda: service.pids()["web"] and service.tasks()["late"]["state"] == "backoff")
    assert service.show("ActiveState") == "active"
    assert service.tasks()["late"]["last_exit"]["reason"].startswith("cannot start: exec /run/late/program: ")
    assert 'task "late": command: "/run/late/program" does not exist' in service.journal()
    service.machine.run("mkdir", "/run/late")
    program.write_text("#!/bin/sh\nexec sleep 1000\n")
    program.chmod(0o755)
    service.until("started", lambda: service.tasks()["late"]["state"] == "running")
    service.machine.run("rm", "-r", "/run/late")
    service.configure(TWO.replace("web", "other") + late)
    service.systemctl("reload")
    assert set(service.tasks()) == {"database", "other", "late"}, "late has not changed, so it refuses nothing"


def test_stop_runs_the_stop_order_and_leaves_nothing(service: "Service") -> None:
    trap = "trap 'echo $SUPERVISOR_TASK >> /run/ends; exit 0' TERM"
    command = f'["sh", "-c", "{trap}; echo $SUPERVISOR_TASK >> /run/starts; sleep 1000 & wait"]'
    service.machine.run("rm", "-f", "/run/ends", "/run/starts")
    service.configure(re.sub(r'"sleep 1000"', lambda _: command, TWO))
    service.systemctl("start")
    starts = service.machine.root / "run/starts"
    service.until("both up", lambda: starts.exists() and starts.read_text() == "database\nweb\n")
    service.systemctl("stop")
    assert (service.machine.root / "run/ends").read_text() == "web\ndatabase\n"
    assert service.processes() == []
    assert (service.show("ActiveState"), service.show("Result")) == ("inactive", "success")


HOLD = """
import ctypes, os, sys
pid, ptrace = int(sys.argv[1]), ctypes.CDLL(None, use_errno=True).ptrace
SEIZE, INTERRUPT, WALL = 0x4206, 0x4207, 0x40000000
for word in (SEIZE, INTERRUPT):
    if ptrace(word, pid, 0, 0):
        sys.exit(os.strerror(ctypes.get_errno()))
os.waitpid(pid, WALL)
print("held", flush=True)
os.waitpid(pid, WALL)
"""
"""A debugger that holds a process until that is killed: unlike SIGSTOP, no SIGCONT ends it, which systemd sends."""


def test_a_stop_that_hangs_leaves_nothing(service: "Service") -> None:
    """A debugger holds the supervisor, which cannot react. systemd kills it, and --sweep kills the remaining tasks."""
    service.drop_in("[Service]\nTimeoutStopSec=2\n")
    daemon = "setsid sh -c 'trap : TERM; sleep 1000 & wait; sleep 1000' & exec sleep 1000"
    service.configure(TWO + f'[task.forks]\ncommand = ["sh", "-c", "{daemon}"]\n')
    service.systemctl("start")
    service.supctl("start", "--all")
    service.until("all there", lambda: len(service.sleepers()) == 4)
    with service.machine.start("python3", "-c", HOLD, service.show("MainPID")) as holding:
        assert holding.stdout
        assert holding.stdout.readline() == "held\n"
        service.systemctl("stop")
    assert service.show("Result") == "timeout"
    assert service.processes() == []
    assert "killed" in service.journal()


def test_after_a_crash_no_task_is_swept(service: "Service") -> None:
    service.drop_in("[Service]\nRestart=no\n")
    service.configure(TWO)
    service.systemctl("start")
    service.supctl("start", "--all")
    before = service.pids()
    service.machine.run("systemctl", "kill", "-s", "SEGV", "--kill-whom=main", "supervisor")
    service.until("gone", lambda: service.show("ActiveState") == "failed")
    assert len(service.sleepers()) == len(before)
    assert "the tasks keep running for the next supervisor" in service.journal()
    service.systemctl("start")
    assert service.pids() == before


def test_a_killed_supervisor_is_restarted_and_adopts_its_tasks(service: "Service") -> None:
    service.configure(TWO)
    service.systemctl("start")
    service.supctl("start", "--all")
    before = service.pids()
    for kills in (1, 2):
        service.machine.run("systemctl", "kill", "-s", "KILL", "--kill-whom=main", "supervisor")
        service.until("back", lambda kills=kills: service.show("NRestarts") == str(kills))
        service.until("active", lambda: service.show("ActiveState") == "active")
        assert service.pids() == before
    assert len(service.sleepers()) == len(before)
    service.systemctl("stop")
    assert service.processes() == []


def test_an_upgrade_keeps_the_main_process_and_every_task(service: "Service") -> None:
    service.configure(TWO)
    service.systemctl("start")
    service.supctl("start", "--all")
    before, main = service.pids(), service.show("MainPID")
    service.supctl("upgrade")
    service.until("active", lambda: service.show("ActiveState") == "active")
    assert (service.show("MainPID"), service.show("NRestarts"), service.pids()) == (main, "0", before)
    service.systemctl("reload")
    service.systemctl("stop")
    assert service.processes() == []


def test_the_end_of_a_task_without_a_supervisor_is_known(service: "Service") -> None:
    """systemd kept its pidfd, and the kernel reports the exit status: a success is a success (Linux 6.15 and newer)."""
    service.drop_in("[Service]\nRestartSec=3\n")
    once = 'command = ["sh", "-c", "while ! test -e /run/end; do sleep 0.1; done; exit 7"]\n'
    service.machine.run("rm", "-f", "/run/end")
    service.configure(TWO + f'[task.once]\nrestart = "never"\nsuccess_exit = [7]\n{once}')
    service.systemctl("start")
    service.supctl("start", "--all")
    before = service.pids()
    service.machine.run("systemctl", "kill", "-s", "KILL", "--kill-whom=main", "supervisor")
    service.machine.run("touch", "/run/end")
    service.until("back", lambda: service.show("NRestarts") == "1")
    service.until("active", lambda: service.show("ActiveState") == "active")
    now = service.tasks()
    assert {name: now[name]["pid"] for name in ("database", "web")} == {n: before[n] for n in ("database", "web")}
    assert now["once"]["last_exit"]["code"] == (7 if kernel_tells() else None)


def test_tasks_outlive_a_crash_with_a_broken_config(service: "Service") -> None:
    service.configure(TWO)
    service.systemctl("start")
    service.supctl("start", "--all")
    before = service.pids()
    service.configure(BROKEN)
    service.machine.run("systemctl", "kill", "-s", "KILL", "--kill-whom=main", "supervisor")
    service.until("back", lambda: service.show("NRestarts") == "1")
    service.until("active", lambda: service.show("ActiveState") == "active")
    assert service.pids() == before
    assert "the config has errors" in service.supctl("status")
    service.systemctl("reload", code=1)
    service.configure(TWO)
    service.systemctl("reload")
    assert service.pids() == before
    assert len(service.sleepers()) == len(before)


def test_a_task_gets_no_variables_of_systemd_for_the_supervisor(service: "Service") -> None:
    service.configure('[task.env]\ncommand = ["sh", "-c", "env > /run/env; exec sleep 1000"]\n')
    service.systemctl("start")
    file = service.machine.root / "run/env"
    service.until("written", lambda: file.exists() and "SUPERVISOR_TASK=env" in file.read_text())
    names = {line.partition("=")[0] for line in file.read_text().splitlines()}
    assert not names & {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "INVOCATION_ID", "JOURNAL_STREAM"}


def test_a_task_has_neither_the_protection_nor_the_raised_limit_of_the_supervisor(service: "Service") -> None:
    script = "cat /proc/self/oom_score_adj > /run/own.new; ulimit -Sn >> /run/own.new; mv /run/own.new /run/own"
    service.machine.run("rm", "-f", "/run/own")
    service.configure(f'[task.own]\ncommand = ["sh", "-c", "{script}; exec sleep 1000"]\n')
    service.systemctl("start")
    file = service.machine.root / "run/own"
    service.until("written", file.exists)
    assert file.read_text() == "0\n1024\n"
    limits = (service.machine.root / "proc" / service.show("MainPID") / "limits").read_text()
    soft, hard = re.search(r"Max open files +(\d+) +(\d+)", limits).groups()
    assert soft == hard
    assert int(hard) > 1024


DAEMON = 'sh -c "setsid sleep 1000 & (env -i setsid sleep 1000 <&- >&- 2>&- &) ; exec sleep 1000"'


def test_a_stop_leaves_no_process_that_left_its_process_group(service: "Service") -> None:
    service.configure(f"[task.daemon]\ncommand = {DAEMON!r}\n[task.other]\ncommand = 'sleep 1000'\n")
    service.systemctl("start")
    service.supctl("start", "--all")
    service.until("all there", lambda: len(service.sleepers()) == 4)
    assert "a cgroup of its own, in /sys/fs/cgroup" in service.journal()
    cgroup = service.cgroup(service.pids()["daemon"] or 0)
    assert len((cgroup / "cgroup.procs").read_text().split()) == 3
    service.supctl("stop", "daemon")
    assert len(service.sleepers()) == 1
    service.until("removed", lambda: not cgroup.exists())
    service.supctl("start", "daemon")
    service.until("all there", lambda: len(service.sleepers()) == 4)
    service.systemctl("stop")
    assert service.processes() == []
    assert not cgroup.parent.exists()
    assert service.show("Result") == "success"


def test_remaining_processes_of_a_run_are_found_after_a_crash(service: "Service") -> None:
    """The supervisor is killed, then the main process of a task.

    The next supervisor ends the other processes before a restart.
    """
    service.configure(f"[task.daemon]\ncommand = {DAEMON!r}\n")
    service.systemctl("start")
    service.supctl("start", "--all")
    service.until("all there", lambda: len(service.sleepers()) == 3)
    before, main = set(service.sleepers()), service.pids()["daemon"]
    service.machine.run("kill", "-STOP", service.show("MainPID"))
    service.machine.run("kill", "-KILL", str(main))
    service.machine.run("systemctl", "kill", "-s", "KILL", "--kill-whom=main", "supervisor")
    service.until("back", lambda: service.show("NRestarts") == "1" and service.show("ActiveState") == "active")
    service.until("restarted", lambda: len(service.sleepers()) == 3 and not before & set(service.sleepers()))
    service.systemctl("stop")
    assert service.processes() == []
