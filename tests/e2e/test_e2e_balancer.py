"""/live, /ready and /health, as a load balancer sees them."""

import http.client
import json
import os
import signal
import socket
import time
from contextlib import closing, suppress

import pytest
from lab import PATIENCE, Lab, wait_for


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as one:
        return int(one.getsockname()[1])


class Balancer:
    """Requests to @health, as a load balancer sends them."""

    def __init__(self, port: int) -> None:
        self.port = port

    def get(self, path: str) -> tuple[int, str]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def status(self, path: str = "/ready") -> int:
        with suppress(OSError, http.client.HTTPException):
            return self.get(path)[0]
        return 0


@pytest.fixture
def balancer(lab: Lab) -> Balancer:
    made = Balancer(free_port())
    settings = f'health_listen = "127.0.0.1:{made.port}"\ndrain_delay = "1500ms"'
    lab.start('[task.web]\nessential = true\ncommand = "sleep 1000"\n[task.other]\ncommand = "sleep 1000"\n', settings)
    wait_for(lambda: made.status() == 200, "it is ready")
    return made


def test_live_ready_and_health_have_the_documented_answers(lab: Lab, balancer: Balancer) -> None:
    assert balancer.get("/live") == (200, "live\n")
    assert balancer.get("/ready?x") == (200, "ready\n")
    status, body = balancer.get("/health")
    told = json.loads(body)
    assert (status, told["ready"], told["state"], told["name"]) == (200, True, "running", "lab")
    assert told["tasks"]["web"] == {"state": "running", "health": None, "essential": True}
    assert balancer.get("/other")[0] == 404


def test_ready_is_503_with_the_reasons(lab: Lab, balancer: Balancer) -> None:
    lab.ctl("freeze", "--reason", "bad deploy")
    wait_for(lambda: balancer.status() == 503, "frozen")
    assert "bad deploy" in balancer.get("/ready")[1]
    lab.ctl("thaw")
    wait_for(lambda: balancer.status() == 200, "thawed")
    lab.ctl("stop", "other")
    assert balancer.status() == 200
    lab.ctl("stop", "web")
    wait_for(lambda: balancer.status() == 503, "the essential one is down")
    assert balancer.get("/ready")[1] == "web is essential: web is stopped\n"
    assert balancer.status("/live") == 200


def test_drained_before_it_is_stopped(lab: Lab, balancer: Balancer) -> None:
    """/ready is 503 at once, the tasks go on for drain_delay, and only then they get the stop signal."""
    web = lab.tasks()["web"]["pid"]
    began = time.monotonic()
    os.kill(lab.pid, signal.SIGTERM)
    wait_for(lambda: balancer.status() == 503, "draining")
    os.kill(web, 0)
    assert lab.expect_exit() == 0
    assert time.monotonic() - began >= 1.4
    with pytest.raises(ProcessLookupError):
        os.kill(web, 0)


def test_after_a_crash_the_machine_stays_ready(lab: Lab, balancer: Balancer) -> None:
    """The tasks go on, so /ready stays 200. Only /live reports that no supervisor runs."""
    os.kill(lab.pid, signal.SIGKILL)
    lab.process.wait()
    assert balancer.status("/live") == 503
    assert balancer.status("/ready") == 200
    lab.start()
    wait_for(lambda: balancer.status("/live") == 200, "alive again")
    wait_for(lambda: balancer.status() == 200, "ready again")


def test_clients_that_hang_or_send_nonsense_disturb_nobody(lab: Lab, balancer: Balancer) -> None:
    with closing(socket.create_connection(("127.0.0.1", balancer.port))) as mute:
        for words in (b"nonsense\r\n\r\n", b"POST / HTTP/1.1\r\n\r\n", b"x" * 20000):
            with closing(socket.create_connection(("127.0.0.1", balancer.port))) as client, suppress(OSError):
                client.sendall(words)
                assert client.recv(100).split()[1] in (b"400", b"405")
        assert balancer.status() == 200
        assert mute.fileno() >= 0
