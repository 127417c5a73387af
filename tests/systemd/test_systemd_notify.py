"""sd_notify means here what it means to systemd: one daemon runs as a unit of systemd and as a task of ours.

The daemon performs its arguments one after the other. A table has the result. Both must reach it, and both must know
the same status, errno and main process.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Service

DAEMON = """
import os, select, socket, sys, time
def say(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.connect(os.environ["NOTIFY_SOCKET"])
        made.send(text.encode())
        theirs, ours = os.pipe()  # whoever listens has read all of it when our end of the barrier hangs up
        socket.send_fds(made, [b"BARRIER=1"], [ours])
        os.close(ours)
        waits = select.poll()
        waits.register(theirs, 0)
        assert waits.poll(60000)
        os.close(theirs)
for word in sys.argv[1:]:
    verb, _, rest = word.partition(" ")
    rest = rest.replace("NOW", str(time.monotonic_ns() // 1000)).replace(";", "\\n")
    if verb == "say":
        say(rest)
    elif verb == "child-says":
        if os.fork() == 0:
            say(rest)
            time.sleep(1000)
    elif verb == "beat":
        for _ in range(int(rest)):
            say("WATCHDOG=1")
            time.sleep(0.2)
    elif verb == "hand-over":  # the child goes on as the main process
        child = os.fork()
        if child:
            say(f"MAINPID={child}" + chr(10) + "READY=1")
            os._exit(0)
        say(f"STATUS={os.getpid()}")
    elif verb == "wait":
        time.sleep(float(rest))
    elif verb == "exit":
        os._exit(int(rest))
time.sleep(1000)
"""

START, STOP = 6, 300
"""Seconds of its start and its stop."""

CASES: dict[str, tuple[list[str], str]] = {
    "ready": (["say READY=1;STATUS=serving"], "ready, says serving"),
    "by-a-child": (["child-says READY=1;STATUS=from below"], "ready, says from below"),
    "never": (["say STATUS=loading"], "failed: timeout"),
    "ends-before": (["exit 0"], "failed: protocol"),
    "fails-before": (["say STATUS=no", "exit 3"], "failed: exit-code"),
    "extends": (["say EXTEND_TIMEOUT_USEC=60000000", f"wait {START + 2}", "say READY=1"], "ready"),
    "extends-too-little": (["say EXTEND_TIMEOUT_USEC=1000"], "failed: timeout"),
    "reloads": (["say READY=1", "say RELOADING=1;MONOTONIC_USEC=NOW"], "reloading"),
    "has-reloaded": (
        ["say READY=1", "say RELOADING=1;MONOTONIC_USEC=NOW", "say READY=1;STATUS=anew"],
        "ready, says anew",
    ),
    "stops": (["say READY=1", "say STOPPING=1"], "stopping"),
    "has-stopped": (["say READY=1", "say STOPPING=1", "exit 0"], "ended"),
    "triggers": (["say READY=1", "say WATCHDOG=trigger"], "failed: watchdog"),
    "stops-beating": (["say READY=1", "beat 5"], "failed: watchdog"),
    "own-period": (["say READY=1", "say WATCHDOG_USEC=300000"], "failed: watchdog"),
    "own-period-before": (["say WATCHDOG_USEC=300000", "say READY=1"], "failed: watchdog"),
    "none-before": (["say WATCHDOG_USEC=0", "say READY=1"], "ready"),
    "none-any-more": (["say READY=1", "say WATCHDOG_USEC=18446744073709551615"], "ready"),
    "errno": (["say READY=1", "say ERRNO=2;STATUS=no file"], "ready, says no file, errno 2"),
    "hands-over": (["hand-over"], "ready, says its pid"),
    "unknown": (["say X=1;READY=0;=;READY", "say READY=1"], "ready"),
    "barrier": (["say READY=1", "say STATUS=one", "say STATUS=two"], "ready, says two"),
    "foreign": ([], "starting"),
}
"""What the daemon does, and where that leads, as systemd 252 has it."""

WATCHED = {
    "triggers": 30,
    "stops-beating": 2,
    "own-period": 30,
    "own-period-before": 30,
    "none-before": 2,
    "none-any-more": 2,
}
"""Seconds between two signs of life."""

LONG = ("foreign",)
"""These are not to fail while we look."""


def start_of(name: str) -> int:
    return 300 if name in LONG else START


def unit(name: str, words: list[str]) -> str:
    command = " ".join(["/opt/supervisor/bin/python -S /run/daemon.py", *(f'"{word}"' for word in words)])
    watchdog = f"WatchdogSec={WATCHED[name]}\n" if name in WATCHED else ""
    return (
        f"[Service]\nType=notify\nNotifyAccess=all\nExecStart={command}\nRestart=no\n{watchdog}"
        f"TimeoutStartSec={start_of(name)}\nTimeoutStopSec={STOP}\n"
    )


def task(name: str, words: list[str]) -> str:
    command = json.dumps(["/opt/supervisor/bin/python", "-S", "/run/daemon.py", *words])
    watchdog = f'watchdog = "{WATCHED[name]}s"\n' if name in WATCHED else ""
    return (
        f'[task.{name}]\nready = "notify"\nrestart = "never"\ncommand = {command}\nlog = {{ to = "none" }}\n{watchdog}'
        f'start_timeout = "{start_of(name)}s"\nstop = {{ grace = "{STOP}s" }}\n'
    )


@pytest.fixture
def both(service: "Service") -> Iterator["Service"]:
    """All of them under way, twice."""
    root = service.machine.root
    (root / "run/daemon.py").write_text(DAEMON)
    for name, (words, _) in CASES.items():
        (root / f"run/systemd/system/notify-{name}.service").write_text(unit(name, words))
    units = [f"notify-{name}.service" for name in CASES]
    assert service.machine.run("systemctl", "daemon-reload") == (0, "")
    assert service.machine.run("systemctl", "start", "--no-block", *units) == (0, "")
    service.configure("".join(task(name, words) for name, (words, _) in CASES.items()))
    service.systemctl("start")
    yield service
    service.machine.run("systemctl", "kill", "-s", "KILL", *units)
    service.machine.run("systemctl", "stop", *units)
    service.machine.run("systemctl", "reset-failed")


def as_systemd_says(service: "Service") -> dict[str, str]:
    """What has become of each unit."""
    words = {"activating": "starting", "active": "ready", "deactivating": "stopping", "inactive": "ended"}
    found = {}
    for name in CASES:
        names = "ActiveState,Result,StatusText,StatusErrno,MainPID"
        _, text = service.machine.run("systemctl", "show", "-p", names, f"notify-{name}")
        one = dict(line.split("=", 1) for line in text.splitlines())
        state = words.get(one["ActiveState"], one["ActiveState"])
        if state == "failed":
            state += f": {one['Result']}"
        found[name] = described(state, one["StatusText"], one["StatusErrno"] == "2", one["MainPID"])
    return found


REASONS = {
    "not ready within": "timeout",
    "exit 0 before it was ready": "protocol",
    "watchdog": "watchdog",
    "exit": "exit-code",
}
"""Our words for what systemd calls a result."""


def as_we_say(service: "Service") -> dict[str, str]:
    """What has become of each task. What it said last is not kept beyond its end, as a new run begins afresh."""
    found = {}
    for name, one in service.tasks().items():
        state = {"running": "ready", "stopped": "ended"}.get(one["state"], one["state"])
        if state == "failed":
            reason = one["last_exit"]["reason"]
            state += f": {next(word for text, word in REASONS.items() if text in reason)}"
        elif state == "ready":
            told = {"reloading": "reloading", "it reports that it is stopping": "stopping"}
            state = next((word for text, word in told.items() if text in one["why"]), state)
        missing = "error: No such file or directory" in one["why"]
        found[name] = described(state, one["says"] or "", missing, str(one["pid"]))
    return found


def described(state: str, says: str, missing: bool, pid: str) -> str:
    """In the words of the table."""
    if state.startswith("failed"):
        return state
    says = f", says {'its pid' if says == pid else says}" if says else ""
    return f"{state}{says}{', errno 2' * missing}"


def test_sd_notify_has_the_same_result_as_with_systemd(both: "Service") -> None:
    expected = {name: outcome for name, (_, outcome) in CASES.items()}
    stranger = "import socket, sys; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'READY=1', sys.argv[1])"
    for path in ("/run/systemd/notify", "/run/supervisor/notify/foreign:1.1"):
        both.until(f"there is {path}", (both.machine.root / path.lstrip("/")).exists)
        assert both.machine.run("/opt/supervisor/bin/python", "-c", stranger, path) == (0, "")
    for look in (as_systemd_says, as_we_say):
        last: dict[str, str] = {}

        def same(look: Callable[["Service"], dict[str, str]] = look, last: dict[str, str] = last) -> bool:
            last.update(look(both))
            return last == expected

        with suppress(AssertionError):
            both.until("as the table says", same)
        assert last == expected, look.__name__
