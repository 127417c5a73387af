"""A file system that never answers: a FUSE file system whose server is stopped, in its own mount namespace."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from lab import SUPCTL, SUPERVISOR, Lab, alive, wait_for


def _why_not() -> str:
    if os.geteuid():
        return "needs root, to mount a FUSE"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "this machine has no FUSE (/dev/fuse)"
    return "" if shutil.which("bindfs") else "needs bindfs: apt-get install bindfs"


pytestmark = pytest.mark.skipif(bool(_why_not()), reason=_why_not())

STOPS = 'stop = { grace = "5s" }\n'


class Dead:
    """A directory `mnt` of the lab behind a FUSE, which shows `src`; it can stop to answer."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.path, self.source = lab.dir / "mnt", lab.dir / "src"
        self.path.mkdir()
        self.source.mkdir()
        self.holder = subprocess.Popen(["unshare", "-m", "--propagation", "private", "sh", "-c", "echo; read x"],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
        assert self.holder.stdout
        self.holder.stdout.readline()
        options = "attr_timeout=0,entry_timeout=0,negative_timeout=0"
        words = ["bindfs", "-f", "--no-allow-other", "-o", options, str(self.source), str(self.path)]
        self.server = subprocess.Popen([*self.inside, *words])
        table = Path(f"/proc/{self.holder.pid}/mountinfo")
        wait_for(lambda: str(self.path) in table.read_text(), "the FUSE is mounted")

    @property
    def inside(self) -> list[str]:
        return ["nsenter", "-t", str(self.holder.pid), "-m", "--"]

    def start(self, tasks: str | None = None, settings: str = "", *, wait: bool = True) -> None:
        self.lab.start(tasks, settings, wait=wait, command=[*self.inside, *SUPERVISOR, "-c", str(self.lab.path)])

    def hang(self) -> None:
        """Returns when the server is stopped."""
        self.server.send_signal(signal.SIGSTOP)
        stat = Path(f"/proc/{self.server.pid}/stat")
        wait_for(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", "stopped")

    def answer(self) -> None:
        self.server.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self.answer()
        self.lab.hang_up()
        if self.lab.process and self.lab.process.poll() is None:
            self.lab.end()
        self.server.kill()
        self.server.wait()
        self.holder.kill()
        self.holder.communicate()


@pytest.fixture
def dead(lab: Lab) -> Iterator[Dead]:
    made = Dead(lab)
    yield made
    made.close()


def text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def words(lab: Lab, name: str, *said: str) -> None:
    """Gives a task words to say."""
    fd = os.open(lab.dir / name / "go", os.O_RDWR)
    os.write(fd, "".join(f"{word}\n" for word in said).encode())
    os.close(fd)


def task(lab: Lab, name: str, log: str, **more: str) -> str:
    """One that says "one", and then each word that it is given."""
    (lab.dir / name).mkdir()
    os.mkfifo(lab.dir / name / "go")
    keys = "".join(f"{key} = {value}\n" for key, value in more.items())
    return (
        f'[task.{name}]\ndirectory = "{lab.dir}/{name}"\nlog = {{ to = "{log}", format = "raw" }}\n{keys}{STOPS}'
        'command = ["sh", "-c", "echo one; exec 3<>go; while read word <&3; do echo $word; done"]\n'
    )


def two(lab: Lab, dead: Dead) -> str:
    return task(lab, "far", f"{dead.path}/far.log") + task(lab, "near", f"{lab.dir}/near.log")


def test_a_file_system_that_hangs_delays_only_its_own_output(lab: Lab, dead: Dead) -> None:
    dead.start(two(lab, dead))
    lab.up("far", "near")
    wait_for(lambda: text(dead.source / "far.log") == "one\n", "far's output")
    dead.hang()
    words(lab, "far", "two")
    words(lab, "near", "two")
    wait_for(lambda: text(lab.dir / "near.log") == "one\ntwo\n", "near's output")
    wait_for(lambda: f"{dead.path} does not answer" in lab.ctl("status", code=None).out, "status says so")
    words(lab, "near", "three")
    wait_for(lambda: text(lab.dir / "near.log") == "one\ntwo\nthree\n", "near's output, later")
    dead.answer()
    wait_for(lambda: text(dead.source / "far.log") == "one\ntwo\n", "far's output")
    wait_for(lambda: "does not answer" not in lab.ctl("status").out, "status says nothing")


def test_a_start_and_a_stop_do_not_wait_for_it(lab: Lab, dead: Dead) -> None:
    dead.hang()
    dead.start(two(lab, dead))
    lab.up("far", "near")
    wait_for(lambda: text(lab.dir / "near.log") == "one\n", "near's output")
    assert f"{dead.path}/far.log has not answered" in lab.stderr
    lab.hang_up()
    assert lab.end() == 0
    assert not lab.processes(helpers=True)


def test_a_log_dir_and_a_state_dir_that_hang(lab: Lab, dead: Dead) -> None:
    lab.path.write_text("")
    dead.hang()
    tasks = task(lab, "far", "file") + task(lab, "near", f"{lab.dir}/near.log")
    lab.write(tasks)
    config = lab.path.read_text()
    for place in ("state", "log"):
        config = config.replace(f'"{lab.dir}/{place}"', f'"{dead.path}/{place}"')
    lab.path.write_text(config)
    dead.start()
    wait_for(lambda: "frozen" in lab.ctl("status", code=None).out, "what was frozen is not known")
    lab.ctl("thaw")
    lab.up("far", "near")
    wait_for(lambda: text(lab.dir / "near.log") == "one\n", "near's output")
    dead.answer()
    wait_for(lambda: text(dead.source / "log/far.log") == "one\n", "far's output")
    lab.ctl("restart", "far")
    wait_for(lambda: "far" in lab.ctl("runs", code=None).out if (dead.source / "state").exists() else "", "its history")


def test_the_next_supervisor_adopts_what_lives(lab: Lab, dead: Dead) -> None:
    lab.write(two(lab, dead))
    lab.path.write_text(lab.path.read_text().replace(f'"{lab.dir}/state"', f'"{dead.path}/state"'))
    dead.start()
    pids = lab.up("far", "near")
    lab.hang_up()
    lab.end(signal.SIGKILL)
    dead.hang()
    dead.start()
    assert {name: one["pid"] for name, one in lab.tasks().items()} == pids
    assert lab.ask("status")["answer"]["supervisor"]["frozen"] == []
    words(lab, "near", "two")
    wait_for(lambda: text(lab.dir / "near.log") == "one\ntwo\n", "near's output")
    lab.hang_up()
    assert lab.end() == 0
    assert not any(map(alive, pids.values()))


@pytest.mark.parametrize("living", [True, False], ids=["with living tasks", "with none"])
def test_a_config_that_hangs_does_not_hang_the_start(lab: Lab, dead: Dead, living: bool) -> None:
    """The last good config is used. Without one, the start fails with the reason, to be tried again."""
    lab.path = dead.path / "supervisor.toml"
    (dead.source / "supervisor.toml").write_text(lab.text(f'[task.near]\ncommand = "sleep 1000"\n{STOPS}'))
    pids = {}
    if living:
        lab.env["RUNTIME_DIRECTORY"] = str(lab.run)
        dead.start()
        pids = lab.up("near")
        lab.hang_up()
        lab.end(signal.SIGKILL)
    dead.hang()
    dead.start(wait=living)
    if living:
        assert {name: one["pid"] for name, one in lab.tasks().items()} == pids
        assert f"{dead.path} does not answer" in lab.ctl("status", code=None).out + lab.stderr
    else:
        assert lab.expect_exit() == 1
        assert f"the file system at {dead.path} does not answer" in lab.stderr


def test_a_reload_of_a_config_that_hangs_is_answered(lab: Lab, dead: Dead) -> None:
    (dead.source / "more.toml").write_text('[task.far]\ncommand = "sleep 1000"\n')
    lab.write('[task.near]\ncommand = "sleep 1000"\n')
    lab.path.write_text(f'include = ["{dead.path}/*.toml"]\n' + lab.path.read_text())
    dead.start()
    lab.up("far", "near")
    dead.hang()
    answer = lab.ctl("reload", code=1)
    assert f"the file system at {dead.path} does not answer" in answer.err
    assert set(lab.tasks()) == {"far", "near"}
    dead.answer()
    lab.ctl("reload")


def test_supctl_and_a_check_do_not_wait_for_it(lab: Lab, dead: Dead) -> None:
    """What reads the files itself says which file system does not answer, within its bound."""
    lab.path.write_text("")
    lab.write(two(lab, dead))
    lab.path.write_text(lab.path.read_text().replace(f'"{lab.dir}/state"', f'"{dead.path}/state"'))
    dead.start()
    lab.up("far", "near")
    lab.ctl("restart", "far")
    dead.hang()
    for words in (["logs", "far"], ["runs"]):
        told = ask(dead, [*SUPCTL, *words])
        assert told.returncode == 1
        assert f"supctl: the file system at {dead.path} does not answer\n" in told.stderr
    for words in ([*SUPCTL, "check", str(lab.path)], [*SUPERVISOR, "--check", "-c", str(lab.path)]):
        assert f"{dead.path}/state has not answered for 4 s" in ask(dead, words).stderr
    assert ask(dead, [*SUPCTL, "logs", "near"]).stdout.endswith("one\n")


def ask(dead: Dead, words: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs a command where the FUSE is mounted."""
    env = {**dead.lab.env, "SUPERVISOR_SOCKET": f"{dead.lab.run}/supervisor.sock"}
    return subprocess.run([*dead.inside, *words], check=False, env=env, capture_output=True, text=True, timeout=60)


def blocked(pid: int) -> set[int]:
    """The signals that a process blocks."""
    status = Path(f"/proc/{pid}/status").read_text()
    mask = int(next(line.split()[1] for line in status.splitlines() if line.startswith("SigBlk:")), 16)
    return {number for number in range(1, 65) if mask >> number - 1 & 1}


def test_sigterm_is_obeyed_while_the_config_is_read(lab: Lab, dead: Dead) -> None:
    dead.hang()
    dead.start(two(lab, dead), wait=False)
    wait_for(lambda: signal.SIGTERM in blocked(lab.pid), "signals wait for somebody who obeys")
    assert lab.end() == 0
    assert not lab.processes(helpers=True)


def writer(lab: Lab) -> int:
    """The pid of the process of @scribe that writes to the FUSE, 0 while there is none."""
    children = Path(f"/proc/{lab.scribe()}/task/{lab.scribe()}/children").read_text().split()
    return int(children[0]) if children else 0


def test_a_writer_that_was_killed_is_started_again(lab: Lab, dead: Dead) -> None:
    dead.start(two(lab, dead))
    lab.up("far", "near")
    wait_for(lambda: text(dead.source / "far.log") == "one\n", "far's output")
    first = writer(lab)
    os.kill(first, signal.SIGKILL)
    words(lab, "far", "two", "three")
    wait_for(lambda: text(dead.source / "far.log") == "one\ntwo\nthree\n", "far's output")
    assert writer(lab) not in (0, first)
    os.kill(lab.scribe(), signal.SIGKILL)
    words(lab, "far", "four")
    wait_for(lambda: text(dead.source / "far.log") == "one\ntwo\nthree\nfour\n", "far's output")


def test_a_log_that_moves_to_another_file_system_and_back(lab: Lab, dead: Dead) -> None:
    """Two writers are involved. No line is lost, and none is written twice."""
    first, second = f"{lab.dir}/far.log", f"{dead.path}/far.log"
    lab.write(task(lab, "far", first))
    dead.start()
    pid = lab.up("far")["far"]
    said = ["one"]
    for number, place in enumerate((second, first, second, first)):
        config = lab.path.read_text()
        lab.path.write_text(config.replace(first if place == second else second, place))
        words(lab, "far", *(new := [f"{number}.{line}" for line in range(50)]))
        lab.ctl("reload")
        words(lab, "far", *(more := [f"{number}.{line}" for line in range(50, 100)]))
        said += new + more
        file = dead.source / "far.log" if place == second else lab.dir / "far.log"
        wait_for(lambda file=file, last=said[-1]: text(file).endswith(f"{last}\n"), "its output")
    written = text(lab.dir / "far.log").split() + text(dead.source / "far.log").split()
    assert sorted(written) == sorted(said)
    assert lab.tasks()["far"]["pid"] == pid


def test_a_writer_that_cannot_be_started_is_tried_again(lab: Lab, dead: Dead) -> None:
    """The program of the helper is missing for a moment: the output waits, all else goes on."""
    dead.start(two(lab, dead))
    lab.up("far", "near")
    wait_for(lambda: text(dead.source / "far.log") == "one\n", "far's output")
    pid = lab.scribe()
    subprocess.run(["prlimit", f"--pid={pid}", "--nofile=3:20000"], check=True)
    os.kill(writer(lab), signal.SIGKILL)
    wait_for(lambda: f"cannot start the writer for {dead.path}" in lab.stderr, "it says so")
    words(lab, "far", "two")
    subprocess.run(["prlimit", f"--pid={pid}", "--nofile=20000:20000"], check=True)
    wait_for(lambda: text(dead.source / "far.log") == "one\ntwo\n", "far's output")
    assert lab.scribe() == pid


def ticks(lab: Lab, dead: Dead) -> Callable[[], list[str]]:
    """Write a config with a schedule of each second. Return a function for the due times of its runs."""
    ran = lab.dir / "ran"
    lab.write(
        f'[task.tick]\ncommand = ["sh", "-c", "echo $SUPERVISOR_DUE >> {ran}"]\n{STOPS}'
        'schedule = "* * * * * *"\noverlap = "allow"\ncatch_up = "all"\n'
    )
    lab.path.write_text(lab.path.read_text().replace(f'"{lab.dir}/state"', f'"{dead.path}/state"'))
    return lambda: text(ran).split()


def seconds(ran: Callable[[], list[str]]) -> list[int]:
    """The due times of the runs, in seconds since 1970."""
    return [round(datetime.fromisoformat(one).timestamp()) for one in ran()]


def fires_on(ran: Callable[[], list[str]]) -> None:
    before = len(ran())
    wait_for(lambda: len(ran()) >= before + 3, "it fires on")


def test_a_start_with_a_state_directory_that_does_not_answer(lab: Lab, dead: Dead) -> None:
    """Schedules go on in memory. What waited on the disk runs when the disk answers again; nothing runs twice."""
    ran = ticks(lab, dead)
    dead.start()
    fires_on(ran)
    lab.hang_up()
    assert lab.end() == 0
    dead.hang()
    dead.start()
    wait_for(lambda: "frozen" in lab.ctl("status", code=None).out, "what was frozen is not known")
    lab.ctl("thaw")
    fires_on(ran)
    assert "firings are kept in memory" in lab.ctl("status").out
    dead.answer()
    wait_for(lambda: not (lab.run / "firings-in-memory.db").exists(), "the firings are on the disk")
    fires_on(ran)
    assert len(ran()) == len(set(ran())), "doubled"


def test_a_state_directory_that_does_not_answer_any_more(lab: Lab, dead: Dead) -> None:
    """Status says that @timekeeper waits, or does not answer. Each firing runs later."""
    ran = ticks(lab, dead)
    dead.start()
    fires_on(ran)
    dead.hang()
    wait_for(lambda: "@timekeeper (pid " in lab.ctl("status").out, "status says so")
    dead.answer()
    fires_on(ran)
    last = max(seconds(ran))  # a run of an earlier second may begin after it
    wait_for(lambda: set(range(min(seconds(ran)), last)) <= set(seconds(ran)), "each second")
    assert len(ran()) == len(set(ran())), "doubled"
    assert "@timekeeper (pid " not in lab.ctl("status").out
