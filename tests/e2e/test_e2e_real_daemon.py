"""A daemon of another project that uses sd_notify: the message bus, which every machine with systemd has."""

import shutil

import pytest
from lab import Lab, wait_for

needs_dbus = pytest.mark.skipif(shutil.which("dbus-daemon") is None, reason="there is no dbus-daemon")


@needs_dbus
@pytest.mark.parametrize("cgroups", ["yes", "no"])
def test_the_message_bus_becomes_ready_reloads_and_stops(lab: Lab, cgroups: str) -> None:
    """READY=1 when it listens, RELOADING=1 and READY=1 for a reload, and an end by itself after the stop signal."""
    lab.env["SUPERVISOR_CGROUPS"] = cgroups
    address = lab.dir / "bus"
    command = f"dbus-daemon --session --nofork --nopidfile --nosyslog --address=unix:path={address}"
    lab.start(
        f'[task.bus]\nready = "notify"\nstart_timeout = "20s"\ncommand = "{command}"\n'
        '[task.app]\nrequires = ["bus"]\ncommand = "sleep 1000"\n'
    )
    pids = lab.up("bus", "app")
    assert address.is_socket(), "ready means that one can connect"
    lab.ctl("signal", "HUP", "bus")
    wait_for(lambda: lab.tasks()["bus"]["why"] == "", "it has reloaded")
    assert lab.tasks()["bus"]["pid"] == pids["bus"]
    assert "stopped (" in lab.ctl("stop", "bus").out
