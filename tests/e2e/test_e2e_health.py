"""Ready and healthy, with real processes: sd_notify, probes of each kind, servers that hang, are slow, or flood."""

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from lab import PATIENCE, Lab, alive, wait_for

from supervisor.host import cgroup

NOTIFY = "systemd-notify"
needs_notify = pytest.mark.skipif(not Path("/usr/bin/systemd-notify").exists(), reason="needs systemd-notify")

SAY = """
import os, select, socket, sys
made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
made.connect(os.environ["NOTIFY_SOCKET"])
made.send("\\n".join(sys.argv[1:]).encode())
theirs, ours = os.pipe()
socket.send_fds(made, [b"BARRIER=1"], [ours])
os.close(ours)
waits = select.poll()
waits.register(theirs, 0)
assert waits.poll(30000)
"""


@pytest.fixture
def say(lab: Lab) -> str:
    """A program that says its arguments, and waits until it was heard, as `systemd-notify` does; without a library."""
    path = lab.dir / "say.py"
    path.write_text(SAY)
    return f"python3 {path}"


def shell(*lines: str) -> str:
    """A command of the config that runs a script."""
    script = "; ".join(lines).replace("\\", "\\\\").replace('"', '\\"')
    return f'["sh", "-c", "{script}"]'


def health(lab: Lab, name: str) -> str | None:
    return lab.tasks()[name]["health"]


# -- sd_notify --------------------------------------------------------------------------------------------------------


@needs_notify
@pytest.mark.parametrize("user", ["", 'user = "nobody"'])
def test_systemd_notify_of_a_child_is_accepted(lab: Lab, user: str) -> None:
    """It runs as a child, and as nobody it may not send for its parent. So it waits until its message was read."""
    if user and os.geteuid():
        pytest.skip("needs root")
    os.chmod(lab.dir, 0o755)
    loading = f"for i in 1 2 3 4 5 6 7 8 9 10; do {NOTIFY} --status=loading; done"
    lines = (loading, f"{NOTIFY} --ready --status=serving", "exec sleep 1000")
    lab.start(f'[task.web]\nready = "notify"\n{user}\ncommand = {shell(*lines)}\n')
    assert lab.until(name="web", to="running")
    wait_for(lambda: lab.tasks()["web"]["says"] == "serving", "its status")
    assert "status: serving" in lab.ctl("status").out
    assert "its message is ignored" not in lab.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_another_user_cannot_fill_the_notify_socket(lab: Lab) -> None:
    """A full socket would stop WATCHDOG=1 of the task."""
    os.chmod(lab.dir, 0o755)
    kinds = {"user": 'user = "nobody"', "root": "", "able": 'user = "nobody"\nno_new_privileges = false'}
    text = "".join(f'[task.{name}]\nready = "notify"\ncommand = "sleep 1000"\n{keys}\n' for name, keys in kinds.items())
    lab.start(text)
    for name in kinds:
        lab.until(name=name, to="starting")
        wait_for(lambda name=name: lab.tasks()[name]["why"].startswith("waits for READY=1"))
    refused = {name: refuses(f"{lab.run}/notify/{name}:1.1") for name in kinds}
    assert refused == {"user": True, "root": True, "able": True}


def refuses(path: str) -> bool:
    """Whether a stranger may not connect to a socket."""
    if (pid := os.fork()) == 0:
        try:
            os.setuid(1)
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).connect(path)
        except PermissionError:
            os._exit(7)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


@needs_notify
def test_a_task_that_never_becomes_ready_is_stopped(lab: Lab) -> None:
    config = '[task.web]\nready = "notify"\nstart_timeout = "300ms"\nrestart = "never"\ncommand = "sleep 1000"\n'
    lab.start(config)
    assert "not ready within 0.3 s" in lab.until(name="web", to="failed")["exit"]["reason"]


def test_dependents_wait_for_ready(lab: Lab, say: str) -> None:
    gate = lab.dir / "gate"
    os.mkfifo(gate)
    web = shell(f"read line < {gate}", f"{say} READY=1", "exec sleep 1000")
    lab.start(
        f'[task.web]\nready = "notify"\ncommand = {web}\n[task.app]\nrequires = ["web"]\ncommand = "sleep 1000"\n'
    )
    wait_for(lambda: lab.tasks()["web"]["why"].startswith("waits for READY=1"), "web waits")
    assert lab.tasks()["app"]["state"] == "held"
    gate.write_text("go\n")
    lab.up("web", "app")


def test_a_barrier_is_answered(lab: Lab) -> None:
    """BARRIER=1 with a pipe: the supervisor closes its end when it has read all earlier messages."""
    script = lab.dir / "barrier.py"
    script.write_text(
        "import os,socket,select,time\n"
        "s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)\ns.connect(os.environ['NOTIFY_SOCKET'])\n"
        "r,w=os.pipe()\ns.send(b'READY=1')\nsocket.send_fds(s,[b'BARRIER=1'],[w])\nos.close(w)\n"
        "p=select.poll()\np.register(r,0)\nassert p.poll(20000)\n"
        "s.send(b'STATUS=through')\ntime.sleep(1000)\n"
    )
    lab.start(f'[task.web]\nready = "notify"\ncommand = "python3 {script}"\n')
    lab.up("web")
    wait_for(lambda: lab.tasks()["web"]["says"] == "through", "the barrier")


def test_a_message_from_outside_of_the_run_is_ignored(lab: Lab) -> None:
    """The sender (this test) is not a process of the run: its READY=1 does not make the task ready."""
    lab.start('[task.web]\nready = "notify"\ncommand = "sleep 1000"\n')
    path = wait_for(lambda: next(iter((lab.run / "notify").glob("web*")), None), "the socket")
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as stranger:
        stranger.sendto(b"READY=1", str(path))
        wait_for(lambda: "not a process of the run" in lab.stderr, "the refusal")
    assert lab.tasks()["web"]["state"] == "starting"


@contextmanager
def deaf(lab: Lab) -> Iterator[None]:
    """The supervisor reads nothing meanwhile."""
    os.kill(lab.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(lab.pid, signal.SIGCONT)


BRIEF = (
    "import os,socket;socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM).sendto(b'READY=1',os.environ['NOTIFY_SOCKET'])"
)
"""It says that it is ready, and ends."""


def brief(lab: Lab, last: str) -> str:
    """A task that waits for a word, and then speaks briefly. Returns its config."""
    os.mkfifo(lab.dir / "gate")
    (lab.dir / "brief.py").write_text(BRIEF)
    script = shell(f"read line < {lab.dir}/gate", last.format(dir=lab.dir))
    return f'[task.web]\nready = "notify"\nrestart = "never"\ncommand = {script}\n'


@pytest.mark.parametrize("who", ["a child", "a stranger"])
def test_a_message_whose_sender_has_ended_is_ignored(lab: Lab, who: str) -> None:
    """Its sender can no longer be identified: the message is ignored, as by systemd, and logged once."""
    lab.start(brief(lab, "python3 {dir}/brief.py; python3 {dir}/brief.py; touch {dir}/said; exec sleep 1000"))
    path = wait_for(lambda: next(iter((lab.run / "notify").glob("web*")), None), "the socket")
    with deaf(lab):
        if who == "a child":
            (lab.dir / "gate").write_text("go\n")
            wait_for((lab.dir / "said").exists, "it has spoken")
        else:  # of the same user
            environ = {**os.environ, "NOTIFY_SOCKET": str(path)}
            for _ in range(2):
                subprocess.run([sys.executable, "-c", BRIEF], env=environ, check=True)
    wait_for(lambda: "ended before its message was read" in lab.stderr, "the refusal")
    assert lab.tasks()["web"]["state"] == "starting"
    assert lab.stderr.count("ended before its message was read") == 1


def test_an_empty_message_whose_sender_has_ended_is_not_logged(lab: Lab, say: str) -> None:
    """The sender of BARRIER=1 ends as soon as it was read. The message has no content, so nothing is logged."""
    (lab.dir / "barrier.py").write_text(BRIEF.replace("READY=1", "BARRIER=1"))
    lab.start(brief(lab, f"python3 {{dir}}/barrier.py; touch {{dir}}/said; exec {say} READY=1"))
    wait_for(lambda: lab.tasks()["web"]["why"].startswith("waits for READY=1"), "web waits")
    with deaf(lab):
        (lab.dir / "gate").write_text("go\n")
        wait_for((lab.dir / "said").exists, "it has spoken")
    lab.until(name="web", to="running")
    assert "its message is ignored" not in lab.stderr


def test_a_message_of_the_main_process_counts_after_its_end(lab: Lab) -> None:
    lab.start(brief(lab, "exec python3 {dir}/brief.py"))
    main = os.pidfd_open(wait_for(lambda: lab.tasks()["web"]["pid"]))
    with deaf(lab):
        (lab.dir / "gate").write_text("go\n")
        wait_for(lambda: _ended(main), "its end")
    os.close(main)
    lab.until(name="web", to="running")
    lab.until(name="web", to="stopped")


def test_a_flood_of_messages_delays_nothing(lab: Lab) -> None:
    """Several tasks send ten thousand messages a second. `status` is answered, and another task restarts at once."""
    script = lab.dir / "flood.py"
    script.write_text(
        "import os,socket\ns=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)\ns.connect(os.environ['NOTIFY_SOCKET'])\n"
        "s.send(b'READY=1')\nn=0\nwhile True:\n n+=1\n s.send(b'STATUS=%d\\nWATCHDOG=1' % n)\n"
    )
    flood = f'[task.flood]\nreplicas = 3\nready = "notify"\nwatchdog = "5s"\ncommand = "python3 {script}"\n'
    lab.start(flood + '[task.calm]\ncommand = "sleep 1000"\n')
    pids = lab.up("flood:1", "flood:2", "flood:3", "calm")
    took = []
    for _ in range(20):
        began = time.monotonic()
        lab.ask("status")
        took.append(time.monotonic() - began)
    assert sorted(took)[10] < 0.25, took
    os.kill(pids["calm"], signal.SIGKILL)
    assert lab.until(name="calm", to="running")


def test_a_task_that_hangs_is_restarted(lab: Lab, say: str) -> None:
    """The watchdog begins at READY=1. WATCHDOG_PID is the main process. The dump signal makes it print its stack."""
    place = lab.dir / "place"
    hang = (
        "import faulthandler,os,signal,socket,time\n"
        f"f=open('{place}','a')\nfaulthandler.register(signal.SIGQUIT,file=f)\n"
        "assert os.environ['WATCHDOG_PID']==str(os.getpid()) and os.environ['WATCHDOG_USEC']=='500000'\n"
        "s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)\ns.connect(os.environ['NOTIFY_SOCKET'])\ns.send(b'READY=1')\n"
        "def endless():\n for _ in range(6):\n  time.sleep(0.2)\n  s.send(b'WATCHDOG=1')\n time.sleep(1000)\n"
        "endless()\n"
    )
    script = lab.dir / "hang.py"
    script.write_text(hang)
    lab.start(
        f'[task.web]\nready = "notify"\nwatchdog = "500ms"\ndump_signal = "SIGQUIT"\ncommand = "python3 {script}"\n'
    )
    first = lab.up("web")["web"]
    began = time.monotonic()
    event = lab.until(name="web", to="stopping")
    assert event["why"] == "watchdog: no WATCHDOG=1 for 0.5 s"
    assert time.monotonic() - began > 1.0, "it was alive for so long"
    assert lab.until(name="web", to="running")["pid"] != first
    assert "in endless" in place.read_text()


def test_a_ready_task_stays_ready_across_a_crash(lab: Lab, say: str) -> None:
    """The next supervisor binds the same path again, the watchdog begins again, and nothing is restarted."""
    beat = shell(f"{say} READY=1", f"while sleep 0.2; do {say} WATCHDOG=1 STATUS=$(date +%s%N) 2>/dev/null; done")
    lab.start(
        f'[task.web]\nready = "notify"\nwatchdog = "4s"\ncommand = {beat}\n'
        '[task.app]\nrequires = ["web"]\ncommand = "sleep 1000"\n'
    )
    before = lab.up("web", "app")
    os.kill(lab.pid, signal.SIGKILL)
    lab.process.wait()
    lab.start()
    said = lab.tasks()["web"]["says"]
    wait_for(lambda: lab.tasks()["web"]["says"] not in (said, None), "it is heard again")
    end = time.monotonic() + 5
    while time.monotonic() < end:  # longer than its watchdog
        assert {name: task["pid"] for name, task in lab.tasks().items()} == before
        lab.ask("version")
    assert lab.tasks()["web"]["state"] == "running"


def test_a_notify_socket_is_removed_with_its_run(lab: Lab, say: str) -> None:
    lab.start(f'[task.web]\nready = "notify"\ncommand = {shell(f"{say} READY=1", "exec sleep 1000")}\n')
    lab.up("web")
    assert [path.name for path in (lab.run / "notify").iterdir()] == ["web:1.1"]
    lab.ctl("restart", "web")
    assert [path.name for path in (lab.run / "notify").iterdir()] == ["web:1.2"]
    lab.ctl("stop", "web")
    assert list((lab.run / "notify").iterdir()) == []


# -- probes -----------------------------------------------------------------------------------------------------------


class Web:
    """A web server in this process, which answers as it is told."""

    def __init__(self) -> None:
        self.status, self.body, self.asked, self.headers = 200, b"all ok", 0, {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                outer.headers = dict(self.headers)
                outer.path = self.path
                self.send_response(outer.status)
                self.end_headers()
                self.wfile.write(outer.body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def web() -> Iterator[Web]:
    made = Web()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def hole() -> Iterator[int]:
    """A port that accepts and never answers: the kernel does so by itself."""
    with closing(socket.create_server(("127.0.0.1", 0), backlog=64)) as made:
        yield made.getsockname()[1]


@pytest.fixture
def drip() -> Iterator[int]:
    """A server that sends one byte of a header each tenth of a second, for ever."""
    made = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        with suppress(OSError):
            while not over.is_set():
                threading.Thread(target=one, args=(made.accept()[0],), daemon=True).start()

    def one(client: socket.socket) -> None:
        with suppress(OSError), client:
            client.send(b"HTTP/1.1 200 OK\r\nX: ")
            while not over.wait(0.1):
                client.send(b"x")

    threading.Thread(target=serve, daemon=True).start()
    yield made.getsockname()[1]
    over.set()
    made.shutdown(socket.SHUT_RDWR)
    made.close()


def test_http_health(lab: Lab, web: Web) -> None:
    probe = f'http = "http://127.0.0.1:{web.port}/health?x=1", contains = "ok"'
    probe += ', headers = { X-Probe = "${SUPERVISOR_TASK}-yes" }'
    lab.start(f'[task.web]\nhealth = {{ {probe}, every = "50ms", failures = 2 }}\ncommand = "sleep 1000"\n')
    first = lab.up("web")["web"]
    wait_for(lambda: health(lab, "web") == "ok", "it is well")
    assert (web.path, web.headers["X-Probe"]) == ("/health?x=1", "web-yes")
    web.body = b"not well"
    assert lab.until(name="web", to="stopping")["why"] == "unwell: http 200 without 'ok' (2 in a row)"
    web.body, web.status = b"ok", 503
    assert lab.until(name="web", to="running")["pid"] != first
    assert lab.until(name="web", to="stopping")["why"] == "unwell: http 503 (2 in a row)"
    web.status = 200
    lab.until(name="web", to="running")
    wait_for(lambda: health(lab, "web") == "ok", "it is well again")


def test_an_unwell_task_with_restart_false_goes_on(lab: Lab, web: Web) -> None:
    web.status = 500
    probe = f'http = "http://127.0.0.1:{web.port}", every = "50ms", failures = 2, restart = false'
    lab.start(f'[task.web]\nhealth = {{ {probe} }}\ncommand = "sleep 1000"\n')
    event = lab.until("health", name="web", health="unwell")
    assert event["why"] == "unwell: http 500 (2 in a row)"
    assert "unwell" in lab.ctl("status", code=3).out
    web.status = 204
    assert lab.until("health", name="web", health="ok")["why"] == "well again"
    assert lab.tasks()["web"]["restarts"] == 0


def test_an_unwell_task_goes_on_while_frozen(lab: Lab, web: Web) -> None:
    probe = f'http = "http://127.0.0.1:{web.port}", every = "50ms", failures = 1'
    lab.start(f'[task.web]\nhealth = {{ {probe} }}\ncommand = "sleep 1000"\n')
    first = lab.up("web")["web"]
    lab.ctl("freeze")
    web.status = 503
    lab.until("health", name="web", health="unwell")
    asked = web.asked
    wait_for(lambda: web.asked > asked + 5, "more questions")
    assert lab.tasks()["web"]["pid"] == first
    lab.ctl("thaw")
    assert "unwell" in lab.until(name="web", to="stopping")["why"]


def test_tcp_ready_and_a_port_of_its_own_for_each_instance(lab: Lab) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as one:
        port = str(one.getsockname()[1])
        stem, last = port[:-1], port[-1]
        config = f'ready = {{ tcp = "127.0.0.1:{stem}${{SUPERVISOR_INSTANCE}}", every = "50ms" }}\n'
        lab.start(f'[task.web]\n{config}replicas = {max(1, int(last))}\ncommand = "sleep 1000"\n')
        if int(last):
            lab.up(f"web:{last}" if int(last) > 1 else "web")
        assert all(
            task["state"] == "starting" for name, task in lab.tasks().items() if name not in (f"web:{last}", "web")
        )


def test_a_unix_socket(lab: Lab) -> None:
    path = lab.dir / "web.sock"
    with closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(str(path))
        lab.start(f'[task.web]\nready = {{ tcp = "unix:{path}", every = "50ms" }}\ncommand = "sleep 1000"\n')
        wait_for(lambda: "refused" in lab.tasks()["web"]["why"], "a bad answer")
        server.listen()
        lab.until(name="web", to="running")


def test_servers_that_hang_delay_no_other_probe(lab: Lab, web: Web, hole: int, drip: int) -> None:
    """Fifty tasks have servers that never answer or send one byte at a time. The healthy task is probed on time."""
    often = 'every = "100ms", timeout = "300ms", failures = 1, restart = false'
    tasks = [f'[task.hole]\nreplicas = 25\nhealth = {{ http = "http://127.0.0.1:{hole}/", {often} }}\n']
    tasks += [f'[task.drip]\nreplicas = 25\nhealth = {{ http = "http://127.0.0.1:{drip}/", {often} }}\n']
    tasks += [f'[task.well]\nhealth = {{ http = "http://127.0.0.1:{web.port}/", every = "100ms" }}\n']
    lab.start("".join(task + 'command = "sleep 1000"\n' for task in tasks))
    wait_for(lambda: sum(task["health"] == "unwell" for task in lab.tasks().values()) == 50, "all the others unwell")
    assert "no answer within 0.3 s" in lab.tasks()["drip:7"]["why"]
    asked, began = web.asked, time.monotonic()
    took = []
    while web.asked < asked + 10:
        assert time.monotonic() < began + PATIENCE
        before = time.monotonic()
        lab.ask("version")
        took.append(time.monotonic() - before)
    assert sorted(took)[len(took) // 2] < 0.1
    assert health(lab, "well") == "ok"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_prober_that_was_killed_is_restarted(lab: Lab, web: Web, how: signal.Signals) -> None:
    """Its open probes are sent again. No task becomes unwell by that."""
    probe = f'http = "http://127.0.0.1:{web.port}/", every = "50ms", timeout = "100ms", failures = 1'
    lab.start(f'[task.web]\nhealth = {{ {probe} }}\ncommand = "sleep 1000"\n')
    pids = lab.up("web")
    wait_for(lambda: health(lab, "web") == "ok", "it is well")
    first = lab.helper("prober")
    os.kill(first, how)
    wait_for(lambda: lab.helper("prober") not in (0, first), "another prober")
    asked = web.asked
    wait_for(lambda: web.asked > asked + 3, "it is asked again")
    assert lab.tasks()["web"]["pid"] == pids["web"]


def test_only_the_prober_may_connect_to_its_socket(lab: Lab, web: Web) -> None:
    """A task of root could connect as well: the supervisor closes that connection, and @prober stays."""
    lab.start(
        f'[task.web]\nhealth = {{ http = "http://127.0.0.1:{web.port}/", every = "50ms" }}\ncommand = "sleep 1000"\n'
    )
    wait_for(lambda: health(lab, "web") == "ok", "it is well")
    pid = lab.helper("prober")
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)) as stranger:
        stranger.settimeout(PATIENCE)
        stranger.connect(str(lab.run / "prober.sock"))
        assert stranger.recv(4096) == b""
    asked = web.asked
    wait_for(lambda: web.asked > asked + 2, "it is asked as before")
    assert lab.helper("prober") == pid


def test_without_http_or_tcp_probes_there_is_no_prober(lab: Lab, web: Web) -> None:
    """A command probe needs no @prober. A reload that removes the last http or tcp probe ends it."""
    lab.start('[task.web]\nhealth = { command = "true", every = "50ms" }\ncommand = "sleep 1000"\n')
    wait_for(lambda: health(lab, "web") == "ok", "it is well")
    assert lab.helper("prober") == 0
    lab.write(f'[task.web]\nhealth = {{ tcp = "127.0.0.1:{web.port}", every = "50ms" }}\ncommand = "sleep 1000"\n')
    lab.ctl("reload")
    wait_for(lambda: lab.helper("prober"), "a prober")
    wait_for(lambda: health(lab, "web") == "ok", "it is well")
    lab.write('[task.web]\ncommand = "sleep 1000"\n')
    lab.ctl("reload")
    wait_for(lambda: not lab.helper("prober"), "no prober")


def test_a_command_probe(lab: Lab) -> None:
    """It runs in the directory of the task with its environment. Exit 0 is good; any other exit is reported."""
    (lab.dir / "place").mkdir()
    flag = lab.dir / "place" / "flag"
    flag.touch()
    check = shell('test \\"$COLOUR\\" = red && test -f flag'.replace("\\", ""))
    lab.start(
        f'[task.web]\ndirectory = "place"\nenvironment = {{ COLOUR = "red" }}\n'
        f'health = {{ command = {check}, every = "50ms", failures = 1 }}\ncommand = "sleep 1000"\n'
    )
    wait_for(lambda: health(lab, "web") == "ok", "it is well")
    flag.unlink()
    assert lab.until(name="web", to="stopping")["why"] == "unwell: its command ended with exit 1 (1 in a row)"


def test_a_command_that_hangs_is_killed_with_its_children(lab: Lab) -> None:
    pids = lab.dir / "pids"
    check = shell(f"echo $$ >> {pids}", "sleep 1000 & wait")
    lab.start(
        f'[task.web]\nhealth = {{ command = {check}, every = "50ms", timeout = "200ms", failures = 2 }}\n'
        'command = "sleep 1000"\n'
    )
    assert "no answer within 0.2 s (2 in a row)" in lab.until(name="web", to="stopping")["why"]
    lab.until(name="web", to="running")
    lab.ctl("stop", "web")
    groups = [int(line) for line in pids.read_text().split()]

    def gone() -> bool:
        return not any(_group_lives(group) for group in groups)

    wait_for(gone, "nothing of the questions is left")


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("cgroups", ["yes", "no"])
def test_processes_that_a_command_leaves_end_with_it(lab: Lab, cgroups: str) -> None:
    """With cgroups also a process that left its process group."""
    lab.env[cgroup.NEVER] = cgroups
    away = "setsid " if cgroups == "yes" and has_cgroups() else ""
    left = lab.dir / "left"
    command = shell(f"{away}sleep 1000 & echo $! >> {left}")
    lab.start(f'[task.web]\nhealth = {{ command = {command}, every = "100ms" }}\ncommand = "sleep 1000"\n')
    wait_for(lambda: health(lab, "web") == "ok", "it is well")
    wait_for(lambda: len(left.read_text().split()) > 2, "it was asked again")
    first = int(left.read_text().split()[0])
    wait_for(lambda: not alive(first), "nothing is left of the first question")


def test_a_command_has_no_notify_socket(lab: Lab) -> None:
    """It has the environment of the task, but no notify socket: its messages would count for the task."""
    command = shell('test -z "$NOTIFY_SOCKET$WATCHDOG_USEC$WATCHDOG_PID"')
    lab.start(f'[task.web]\nwatchdog = "1h"\nhealth = {{ command = {command} }}\ncommand = "sleep 1000"\n')
    wait_for(lambda: health(lab, "web"), "it was asked")
    assert health(lab, "web") == "ok"


def has_cgroups() -> bool:
    with suppress(cgroup.NoCgroupError):
        os.rmdir(cgroup.plant(os.getpid(), 1))
        return True
    return False


def test_a_command_that_cannot_be_run(lab: Lab) -> None:
    program = lab.dir / "program"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    lab.start(
        f'[task.web]\nhealth = {{ command = "{program}", every = "50ms", failures = 1 }}\ncommand = "sleep 1000"\n'
    )
    wait_for(lambda: health(lab, "web") == "ok", "it is well")
    program.unlink()
    why = lab.until(name="web", to="stopping")["why"]
    assert "its command cannot be run: exec" in why
    assert "No such file" in why


def test_a_probe_ends_with_its_supervisor(lab: Lab) -> None:
    """Otherwise it would hang for ever, as no supervisor ends it."""
    pid = lab.dir / "pid"
    check = shell(f"echo $$ > {pid}.new && mv {pid}.new {pid}", "exec sleep 1000")
    lab.start(f'[task.web]\nhealth = {{ command = {check}, timeout = "1h" }}\ncommand = "sleep 1000"\n')
    wait_for(pid.exists, "the question")
    asked = os.pidfd_open(int(pid.read_text()))
    os.kill(lab.pid, signal.SIGKILL)
    lab.process.wait()
    wait_for(lambda: _ended(asked), "its end")
    lab.start()


def _ended(pidfd: int) -> bool:
    return bool(select.select([pidfd], [], [], 0)[0])


def test_mainpid_must_be_a_process_of_the_run(lab: Lab, say: str) -> None:
    """Otherwise a task could have any process stopped in its place."""
    lab.start(f'[task.web]\nready = "notify"\ncommand = {shell(f"{say} MAINPID=$PPID READY=1", "exec sleep 1000")}\n')
    lab.up("web")
    wait_for(lambda: "is ignored: it is not a process of the run" in lab.stderr, "the refusal")
    pid = lab.tasks()["web"]["pid"]
    wait_for(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n", "it is the process that was started")


def test_mainpid_changes_the_main_process(lab: Lab) -> None:
    """MAINPID= of a daemon that forks and ends. Its exit status is known, as it is our child now. A stop ends all."""
    script = lab.dir / "daemon.py"
    script.write_text(
        "import os,socket,time\ns=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)\n"
        "s.connect(os.environ['NOTIFY_SOCKET'])\nr,w=os.pipe()\n"
        "if os.fork():\n os.close(w)\n os.read(r,1)\n os._exit(0)\n"
        "os.setsid()\ns.send(b'MAINPID=%d\\nREADY=1' % os.getpid())\nos.close(w)\n"
        f"while not os.path.exists('{lab.dir}/end'): time.sleep(0.05)\nos._exit(7)\n"
    )
    lab.start(f'[task.web]\nready = "notify"\nrestart = "never"\ncommand = "python3 {script}"\n')
    lab.until(name="web", to="running")
    main = lab.tasks()["web"]["pid"]
    assert Path(f"/proc/{main}/cmdline").read_bytes().split(b"\0")[1] == str(script).encode()
    (lab.dir / "end").touch()
    assert lab.until(name="web", to="failed")["exit"]["code"] == 7
    (lab.dir / "end").unlink()
    lab.ctl("start", "web")
    lab.ctl("stop", "web")
    assert lab.processes() == []
