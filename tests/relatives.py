"""A task that makes processes of every kind that a supervisor might lose, then stays or ends.

    relatives.py PIDS READY stay|exit KIND …

Each relative sets itself up, and its pid goes into the file PIDS, before READY (a FIFO or a file) gets a line. Kinds:

    group       in the process group of the task
    setsid      in a session of its own
    daemon      double-forked: in a session of its own, its parent is gone
    bare        as daemon, with an empty environment and no descriptors, another program since
    stubborn    as daemon, and ignores SIGTERM
    storm       as stubborn: one that forks as fast as it can, and chains of processes of which each lives for a moment,
                forks the next one, in a session of its own, and ends

And without the mark of the run (`supervisor.host.mark`), which anybody may take off; they ignore SIGTERM:

    unmarked-group      in a process group of its own
    unmarked-setsid     in a session of its own
    unmarked-orphan     in the session of the task, in another process group; its parent is gone
    unmarked-output     as daemon, with an empty environment; it holds its output open
    unmarked-environment  as daemon, with its environment and no descriptors
"""

import os
import resource
import signal
import sys
import time

DIRECT = ("group", "setsid", "unmarked-group", "unmarked-setsid")
"""Who stays a child of the task."""

RLIMIT_LOCKS = 10

CHAINS = 4
"""Of a storm. More would take the machine from everybody else."""

WEATHER = 20.0
"""Seconds after which a storm is over by itself, should the one who tests it have failed."""


def main(words):
    pids, ready, then, *kinds = words
    for kind in kinds:
        relative(kind, pids)
    with open(ready, "w") as file:
        file.write("\n")
    if then == "stay":
        signal.pause()


def relative(kind, pids):
    """Makes one; comes back when it is what it shall be."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ours)
        leave(kind)
        if kind not in DIRECT and os.fork():
            os._exit(0)
        if kind in ("stubborn", "storm") or kind.startswith("unmarked"):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        note(pids)
        os.write(theirs, b"x")
        os.close(theirs)
        become(kind)
    os.close(theirs)
    os.read(ours, 1)
    os.close(ours)
    if kind not in DIRECT:
        os.waitpid(child, 0)  # who has forked twice is gone, and counts for nobody


def leave(kind):
    """Takes itself away from the task, as far as this kind does."""
    if kind in ("unmarked-group", "unmarked-orphan"):
        os.setpgid(0, 0)
    elif kind != "group":
        os.setsid()
    if kind.startswith("unmarked"):
        _, hard = resource.getrlimit(RLIMIT_LOCKS)
        resource.setrlimit(RLIMIT_LOCKS, (hard, hard))


def note(pids):
    """One line, at once."""
    fd = os.open(pids, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.write(fd, f"{os.getpid()}\n".encode())
    os.close(fd)


def become(kind):
    """Never returns."""
    if kind == "storm":
        storm()
    if kind in ("bare", "unmarked-environment"):
        os.closerange(0, 100)
    os.execve("/bin/sleep", ["sleep", "1000"], {} if kind in ("bare", "unmarked-output") else os.environ)


def storm():
    """No pid that was seen is still there when the signal comes."""
    end = time.monotonic() + WEATHER
    for _ in range(CHAINS):
        if os.fork() == 0:
            chain(end)
    while time.monotonic() < end:
        if os.fork() == 0:
            os._exit(0)
        os.wait()
    os._exit(0)


def chain(end):
    """The next one goes on where this one ends."""
    while time.monotonic() < end:
        os.setsid()
        time.sleep(0.002)
        if os.fork():
            os._exit(0)
    os._exit(0)


main(sys.argv[1:])
