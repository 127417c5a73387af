"""The beginning of programs that test the spawner in a process of their own."""

BEGIN = """
import os, signal, sys
from supervisor.spawn import clone, spawner_process
from supervisor.spawn.spawning import Spawning
spawner_process.PATIENCE = 0.5
SPEC = {
    "title": "a", "helper": False, "command": ("/bin/sh", "-c", "exit 7"), "python": None, "stop_signal": "SIGTERM",
    "directory": None, "user": None, "umask": None, "inherit_environment": True, "environment": {},
    "environment_file": (), "stdin": "", "text": "", "out": "", "err": "", "notify_socket": "", "begins": (),
    "bound": False, "kept": -1, "mark": 7,
    "no_new_privileges": False, "confine": None,
}

def runs(made):
    child = made.spawner.spawn(SPEC)
    os.set_blocking(child.channel, True)
    parent = open(f"/proc/{child.pid}/stat").read().rpartition(") ")[2].split()[1]
    assert int(parent) == os.getpid(), "the child is the parent's own"
    os.write(child.channel, b"g")
    assert os.read(child.channel, 100) == b"", "an exec that succeeds closes the channel"
    status = os.waitid(os.P_PID, child.pid, os.WEXITED)
    assert (status.si_code, status.si_status) == (os.CLD_EXITED, 7), status
    os.close(child.channel)

"""
