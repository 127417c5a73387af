"""Time limits of systemd: the supervisor requests the time that its own config allows."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Service


SLOW = "trap 'sleep 5; echo through > /run/through; exit 0' TERM; while :; do sleep 0.1; done"


@pytest.mark.parametrize("begun_by", ["systemd", "a client"])
def test_a_stop_may_last_longer_than_the_unit_says(service: "Service", begun_by: str) -> None:
    """The supervisor requests the time of `stop_grace`. Otherwise systemd would kill it during a grace."""
    service.drop_in("[Service]\nTimeoutStopSec=2\n")
    service.configure(
        f'[supervisor]\nstop_grace = "10m"\n[task.slow]\nstop = {{ grace = "9m" }}\ncommand = ["sh", "-c", "{SLOW}"]\n'
    )
    (service.machine.root / "run/through").unlink(missing_ok=True)
    service.systemctl("start")
    service.supctl("start", "slow")
    if begun_by == "systemd":
        service.systemctl("stop")
    else:
        service.supctl("shutdown")
        service.until("down", lambda: service.show("ActiveState") in ("inactive", "failed"))
    assert service.show("Result") == "success"
    assert (service.machine.root / "run/through").read_text() == "through\n"
    assert service.processes() == []


def test_a_start_may_last_longer_than_the_unit_says(service: "Service") -> None:
    """The supervisor requests more time as long as a start-up task works within its own limits."""
    service.drop_in("[Service]\nTimeoutStartSec=2\n")
    service.configure('[task.migrate]\nkind = "startup"\ncommand = "sleep 5"\n')
    service.systemctl("start")
    assert service.show("ActiveState") == "active"
    assert service.tasks()["migrate"]["last_exit"]["code"] == 0
