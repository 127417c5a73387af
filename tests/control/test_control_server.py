"""The socket under abuse: a wrong, huge, slow or vanished client harms only itself."""

import errno
import json
import os
import resource
import select
import socket
from pathlib import Path

import pytest
from desk import PATIENCE, Desk, Line

from supervisor.control import server, wire
from supervisor.control.feed import KEPT_BYTES, Feed

GOOD = wire.encode(verb="echo", args={"n": 1})


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"", "not JSON"),
        (b"hello", "not JSON"),
        (b"\x00\xff\xfe", "not JSON"),
        (b"{" * 5000, "not JSON"),
        (b"[" * 200_000, "nested too deep"),
        (b'{"a":' * 30_000, "nested too deep"),
        (b"9" * 5000, "not JSON"),
        (b"NaN", "JSON object"),
        (b"[]", "JSON object"),
        (b'"status"', "JSON object"),
        (b"{}", "version None is not known"),
        (b'{"v": 2, "verb": "status"}', "speaks version 1"),
        (b'{"v": "1", "verb": "status"}', "speaks version 1"),
        (b'{"v": 1}', '"verb" (a string)'),
        (b'{"v": 1, "verb": null}', '"verb" (a string)'),
        (b'{"v": 1, "verb": "status", "args": []}', '"args" (an object)'),
        (b'{"v": 1, "verb": "echo", "args": {"name": "\\ud800"}}', "not JSON"),
    ],
)
def test_an_invalid_request_is_refused_with_a_reason_and_the_connection_stays(
    desk: Desk, line: bytes, says: str
) -> None:
    client = desk.connect()
    client.send(line + b"\n")
    answer = client.read()
    assert says in answer["error"]
    assert answer["exit"] == 2
    assert client.ask(n=2)["answer"] == {"n": 2}


def test_bytes_that_are_not_utf_8_are_transported_unchanged(desk: Desk) -> None:
    words = [os.fsdecode(b"caf\xe9"), "café", "\N{PILE OF POO}", "a\nb\0c"]
    assert desk.connect().ask(words=words)["answer"] == {"words": words}


def test_a_megabyte_without_a_newline_is_cut_off(desk: Desk) -> None:
    client = desk.connect()
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        client.send(b"x" * (1 << 20))
    assert "at most" in client.read()["error"]
    assert client.hung_up()


def test_a_client_with_too_long_a_request_reads_the_reason(desk: Desk) -> None:
    """A bounded rest, up to its newline; then the server disconnects. Without a newline the client counts as idle."""
    for last in (b"y" * 1000 + b"\n", b""):
        client = desk.connect()
        client.send(b"x" * (wire.MAX_REQUEST + 1))
        assert "at most" in client.read()["error"]
        client.send(b"y" * (wire.MAX_REQUEST // 2))
        client.send(last)
        desk.now += 0 if last else 31
        assert client.hung_up()
    assert not desk.asked


def test_a_request_may_have_its_full_size_and_not_a_byte_more(desk: Desk) -> None:
    def request(size: int) -> bytes:
        empty = wire.encode(verb="echo", args={"x": ""})
        return wire.encode(verb="echo", args={"x": "y" * (size - len(empty) + 1)})

    client = desk.connect()
    client.send(request(wire.MAX_REQUEST))
    assert "answer" in client.read()
    client.send(request(wire.MAX_REQUEST + 1))
    assert "at most" in client.read()["error"]


def test_byte_by_byte(desk: Desk) -> None:
    client = desk.connect()
    for byte in GOOD:
        client.send(bytes([byte]))
        desk.turn()
    assert client.read()["answer"] == {"n": 1}


def test_several_requests_in_one_packet_are_answered_in_order(desk: Desk) -> None:
    client = desk.connect()
    client.send(b"".join(wire.encode(verb="echo", args={"n": n}) for n in range(100)) + b"nonsense\n" + GOOD)
    assert [client.read().get("answer") for _ in range(102)] == [*({"n": n} for n in range(100)), None, {"n": 1}]


def test_the_next_request_waits_for_the_answer_of_the_one_before(desk: Desk) -> None:
    desk.answer = lambda request: None
    client = desk.connect()
    client.send(GOOD * 3)
    desk.until(lambda: desk.asked)
    for _ in range(5):
        desk.turn()
    assert len(desk.asked) == 1
    for number in (1, 2, 3):
        desk.until(lambda number=number: len(desk.asked) == number)
        desk.asked[-1].client.answer(number)
        assert client.read()["answer"] == number


@pytest.mark.parametrize("text", [GOOD, GOOD * 3, GOOD.rstrip(), GOOD + GOOD.rstrip()])
def test_a_client_that_shuts_down_its_sending_side_gets_every_answer(desk: Desk, text: bytes) -> None:
    client = desk.connect()
    client.send(text)
    client.socket.shutdown(socket.SHUT_WR)
    assert [client.read()["answer"] for _ in range(text.count(b"echo"))] == [{"n": 1}] * text.count(b"echo")
    assert client.hung_up()


def test_a_client_that_shuts_down_its_sending_side_gets_a_late_answer(desk: Desk) -> None:
    desk.answer = lambda request: None
    client = desk.connect()
    client.send(GOOD)
    client.socket.shutdown(socket.SHUT_WR)
    desk.until(lambda: desk.asked)
    for _ in range(5):
        desk.turn()
    desk.asked[0].client.answer("late")
    assert client.read()["answer"] == "late"
    assert client.hung_up()


def test_an_idle_client_is_disconnected_and_a_waiting_one_is_not(desk: Desk) -> None:
    desk.answer = lambda request: None
    idle, waiting = desk.connect(), desk.connect()
    waiting.send(GOOD)
    desk.until(lambda: desk.asked)
    assert desk.server.next_deadline() == desk.now + server.IDLE
    desk.now += server.IDLE - 1
    desk.turn()
    assert len(desk.server.clients) == 2
    desk.now += 1
    assert idle.hung_up()
    assert list(desk.server.clients) == [waiting.client]
    assert desk.server.next_deadline() is None
    waiting.client.answer("still here")
    assert waiting.read()["answer"] == "still here"


def test_a_client_that_sends_single_bytes_counts_as_idle(desk: Desk) -> None:
    client = desk.connect()
    for _ in range(10):
        client.send(b" ")
        desk.turn()
        desk.now += server.IDLE / 9
    desk.turn()
    assert client.hung_up()


def test_two_hundred_clients_at_once_are_all_answered(desk: Desk) -> None:
    """The server serves a bounded number at a time; an idle client gives its place to a new one."""
    patient: list[Line] = []
    for _ in range(200):
        client = desk.connect()
        patient.append(client)
        assert len(desk.server.clients) <= server.MAX_CLIENTS
        assert client.ask(n=1)["answer"] == {"n": 1}
    assert len(desk.server.clients) == server.MAX_CLIENTS
    assert patient[0].hung_up()
    assert patient[-1].ask(n=2)["answer"] == {"n": 2}


def test_a_client_that_waits_for_nothing_is_disconnected_for_a_new_one(desk: Desk) -> None:
    desk.answer = lambda request: None
    first = desk.connect()
    first.send(GOOD)
    desk.until(lambda: desk.asked)
    for _ in range(server.MAX_CLIENTS):
        desk.now += 0.1
        desk.connect()
    first.client.answer("mine")
    assert first.read()["answer"] == "mine"


def test_a_client_that_never_reads_costs_one_answer(desk: Desk) -> None:
    """Its further requests stay in the kernel, others are served, and it is disconnected when it is idle."""
    answered = []

    def answer(request: object) -> None:
        answered.append(request)
        request.client.answer("x" * 1_000_000)  # type: ignore[attr-defined]

    desk.answer = answer
    greedy = desk.connect()
    greedy.send(GOOD * 500)
    for _ in range(20):
        desk.turn()
    assert len(answered) == 1
    assert greedy.client._behind < 1_100_000
    desk.answer = lambda request: request.client.answer("ok")
    assert desk.connect().ask()["answer"] == "ok"
    assert len(greedy.read()["answer"]) == 1_000_000  # and from here on they are served again
    assert greedy.read()["answer"] == "ok"


def test_a_follower_that_never_reads_is_cut_off_and_the_others_get_everything(desk: Desk) -> None:
    feed = Feed("life")
    desk.answer = lambda request: feed.follow(request.client)
    deaf, hearing = desk.connect(), desk.connect()
    for client in (deaf, hearing):
        client.send(GOOD)
    desk.until(lambda: len(feed.followers) == 2)
    most = 0
    for number in range(6000):
        feed.publish({"event": "flood", "why": "x" * 1000, "number": number})
        most = max(most, sum(client._behind for client in desk.server.clients))
        assert hearing.read()["event"]["number"] == number
    assert deaf.hung_up()
    assert list(feed.followers) == [hearing.client]
    assert most <= server.MAX_UNSENT + 2000
    assert sum(map(len, feed.since(None))) <= KEPT_BYTES


def test_a_client_that_disconnects_while_it_waits_is_noticed_at_once(desk: Desk) -> None:
    desk.answer = lambda request: None
    client = desk.connect()
    client.send(GOOD)
    desk.until(lambda: desk.asked)
    gone: list[int] = []
    client.client.on_close = lambda: gone.append(1)
    client.socket.close()
    desk.until(lambda: gone)
    assert not desk.server.clients
    desk.asked[0].client.answer("to nobody")
    desk.asked[0].client.progress("to nobody")
    desk.asked[0].client.send(b"to nobody")
    assert gone == [1]


def test_a_request_counts_although_its_client_disconnects(desk: Desk) -> None:
    client = Line(desk)
    client.send(GOOD)
    client.socket.close()
    desk.until(lambda: desk.asked)
    desk.until(lambda: not desk.server.clients)


def test_an_idle_server_does_not_wake_up(desk: Desk) -> None:
    """Neither further requests of a waiting client nor a client that shut down its sending side keep the loop busy."""
    desk.answer = lambda request: None
    more, ended, deaf = desk.connect(), desk.connect(), desk.connect()
    more.send(GOOD * 3)
    ended.send(GOOD)
    ended.socket.shutdown(socket.SHUT_WR)
    desk.until(lambda: len(desk.asked) == 2)
    desk.answer = lambda request: request.client.answer("x" * 1_000_000)
    deaf.send(GOOD * 2)
    desk.until(lambda: len(desk.asked) == 3)
    for client in (more, deaf):
        client.send(GOOD)
    for _ in range(5):
        desk.turn()
    assert desk.loop._epoll.poll(0.05) == []


def test_without_descriptors_clients_are_served_one_after_another(desk: Desk) -> None:
    """The reserve descriptor goes from one to the next. The last one waits until there are descriptors again."""
    clients = [socket.socket(socket.AF_UNIX) for _ in range(3)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    top, filler = max(map(int, os.listdir("/proc/self/fd"))), []
    while (held := os.open(os.devnull, os.O_RDONLY)) < top:  # no number below the limit is free
        filler.append(held)
    os.close(held)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (held, hard))
        for number, client in enumerate(clients):
            client.settimeout(PATIENCE)
            client.connect(desk.path)
            client.sendall(json.dumps({"v": 1, "verb": "echo", "args": {"n": number}}).encode() + b"\n")
        for number, client in enumerate(clients):
            desk.until(lambda client=client: bool(select.select([client], [], [], 0)[0]))
            assert json.loads(client.recv(1000))["answer"] == {"n": number}
            client.close()
        desk.turn(0.05)
        assert desk.loop._epoll.poll(0) == [], "the loop sleeps"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in filler:
            os.close(fd)
    assert desk.connect().ask(n=3)["answer"] == {"n": 3}


class Failing:
    """A listening socket whose machine is out of something."""

    def __init__(self, listening: socket.socket, error: int) -> None:
        self.listening, self.error, self.tried = listening, error, 0
        self.fileno, self.close = listening.fileno, listening.close

    def accept(self) -> tuple[socket.socket, object]:
        self.tried += 1
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        return self.listening.accept()


@pytest.mark.parametrize("error", [errno.ENOMEM, errno.ENOBUFS, errno.EPERM, errno.ENFILE])
def test_a_client_that_cannot_be_accepted_does_not_keep_the_loop_busy(desk: Desk, error: int) -> None:
    """The kernel keeps reporting the waiting client. The server tries again after a pause, and then accepts it."""
    failing = desk.server._socket = Failing(desk.server._socket, error)
    waiting = Line(desk)
    desk.turn()
    assert failing.tried == 1 + (error == errno.ENFILE)  # with the spare descriptor given up
    assert desk.loop._epoll.poll(0.05) == []
    assert desk.server.next_deadline() == desk.now + server.REST
    failing.error = 0
    desk.now += server.REST
    assert waiting.ask(n=1)["answer"] == {"n": 1}
    assert desk.server.next_deadline() == desk.now + server.IDLE


def test_a_lost_spare_descriptor_is_opened_again_later(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """ENFILE: while one client is refused, another process takes the last descriptor of the machine."""
    failing = desk.server._socket = Failing(desk.server._socket, errno.ENFILE)
    real = os.open
    monkeypatch.setattr(os, "open", lambda *_: failing.accept())
    waiting = Line(desk)
    desk.turn()
    assert desk.server._spare == -1
    monkeypatch.setattr(os, "open", real)
    failing.error = 0
    desk.now += server.REST
    assert waiting.ask(n=1)["answer"] == {"n": 1}
    assert desk.server._spare >= 0


def test_a_client_that_cannot_be_watched_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(desk.loop, "watch", full)
        line = Line(desk)
        assert "No space left" in line.read()["error"]
    assert not desk.server.clients
    assert desk.connect().ask(n=2)["answer"] == {"n": 2}


# -- the socket itself ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("umask", [0o000, 0o077])
@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_the_mode_is_as_asked_whatever_the_umask(place: Path, mode: int, umask: int) -> None:
    old = os.umask(umask)
    try:
        desk = Desk(place).listen(mode)
        assert os.stat(desk.path).st_mode & 0o777 == mode
        assert os.umask(umask) == umask
    finally:
        os.umask(old)
    desk.close()
    assert not os.listdir(place)


def test_the_socket_never_has_another_mode(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each system call on the way, the socket at the path has the right mode, and its temporary file is private."""
    seen = []

    def spy(name: str) -> None:
        call = getattr(os, name)

        def spied(*args: object, **kwargs: object) -> object:
            seen.extend((name, path.name, path.stat().st_mode & 0o777) for path in place.iterdir())
            return call(*args, **kwargs)

        monkeypatch.setattr(os, name, spied)

    old = os.umask(0)
    try:
        for name in ("chown", "chmod", "rename", "umask"):
            spy(name)
        desk = Desk(place, group=os.getegid()).listen(0o666)
    finally:
        os.umask(old)
    desk.close()
    assert ("chown", "supervisor.sock.new", 0o600) in seen
    assert ("chmod", "supervisor.sock.new", 0o600) in seen
    assert {name for _, name, _ in seen if name == "supervisor.sock"} <= {"supervisor.sock"}
    assert all(mode in (0o600, 0o666) for _, _, mode in seen)
    assert all(mode == 0o666 for call, name, mode in seen if name == "supervisor.sock")


def test_a_stale_socket_is_replaced(place: Path) -> None:
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(place / "supervisor.sock"))
    dead.close()
    (place / "supervisor.sock.new").write_text("left over by a crash in between")
    desk = Desk(place).listen()
    assert desk.connect().ask(n=1)["answer"] == {"n": 1}
    desk.close()


@pytest.mark.parametrize("busy", [False, True])
def test_a_live_socket_is_never_stolen(place: Path, busy: bool) -> None:
    owner = socket.socket(socket.AF_UNIX)
    owner.bind(str(place / "supervisor.sock"))
    owner.listen(0)
    callers = []
    while busy:  # until its queue is full
        callers.append(socket.socket(socket.AF_UNIX))
        callers[-1].setblocking(False)
        try:
            callers[-1].connect(str(place / "supervisor.sock"))
        except BlockingIOError:
            break
    before = os.stat(place / "supervisor.sock").st_ino
    with pytest.raises(server.InUseError, match="another supervisor answers at"):
        Desk(place).listen()
    assert os.stat(place / "supervisor.sock").st_ino == before
    for one in (owner, *callers):
        one.close()


def test_a_file_at_the_path_that_is_not_a_socket_is_an_error(place: Path) -> None:
    (place / "supervisor.sock").mkdir()
    with pytest.raises(OSError, match="directory"):
        Desk(place).listen()


def test_a_disconnect_is_noticed_although_nothing_is_read(desk: Desk) -> None:
    """`Client` relies on this: epoll reports EPOLLHUP also for an empty mask (epoll_ctl(2))."""
    ours, theirs = socket.socketpair()
    told: list[int] = []
    desk.loop.watch(ours.fileno(), lambda events: told.append(events) or [], 0)
    theirs.close()
    desk.until(lambda: told)
    assert told[0] & select.EPOLLHUP
    desk.loop.unwatch(ours.fileno())
    ours.close()
