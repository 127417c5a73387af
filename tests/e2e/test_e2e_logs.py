"""`supctl logs`, and the output in `why` and `show`, with real tasks."""

import argparse
import gzip
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from lab import SUPCTL, Lab, Terminal, wait_for

from supervisor.verbs import history_reader

TASKS = """
[defaults]
log = { to = "file", max_size = "100G" }
backoff = { initial = "10ms", jitter = 0 }
[task.web]
command = ["sh", "-c", "echo one; echo two >&2; echo three; exec sleep 1000"]
[task.db]
command = ["sh", "-c", "echo db is up; exec sleep 1000"]
[task.raw]
command = ["sh", "-c", "echo as it is; exec sleep 1000"]
log = { format = "raw" }
[task.quiet]
command = "sleep 1000"
log = { to = "none" }
[task.bad]
command = ["sh", "-c", "echo to stdout; echo oh no >&2; exit 3"]
restart = "never"
"""


@pytest.fixture
def talking(lab: Lab) -> Lab:
    lab.start(TASKS)
    lab.up("web", "db", "raw", "quiet")
    wait_for(lambda: "three" in lab.ctl("logs", "web").out)
    return lab


def texts(out: str) -> list[str]:
    return [line.split(" ", 1)[1] for line in out.splitlines()]


def test_which_lines_are_shown(talking: Lab) -> None:
    assert sorted(texts(talking.ctl("logs", "web").out)) == ["err two", "one", "three"]
    assert texts(talking.ctl("logs", "web", "--stderr").out) == ["err two"]
    assert texts(talking.ctl("logs", "web", "--stdout").out) == ["one", "three"]
    assert texts(talking.ctl("logs", "web", "--grep", "^t", "--stdout").out) == ["three"]
    assert len(texts(talking.ctl("logs", "web", "-n", "1").out)) == 1
    assert len(texts(talking.ctl("logs", "web", "--since", "1h").out)) == 3
    assert texts(talking.ctl("logs", "web", "--until", "2020-01-01").out) == []
    assert talking.ctl("logs", "raw").out == "as it is\n"
    merged = talking.ctl("logs", "web", "db").out
    assert [line[:5] for line in sorted(merged.splitlines())] == ["db  |", "web |", "web |", "web |"]
    assert [line[6:30] for line in merged.splitlines()] == sorted(line[6:30] for line in merged.splitlines())
    one = json.loads(talking.ctl("logs", "db", "--json").out)
    assert (one["name"], one["stream"], one["message"]) == ("db", "out", "db is up")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["raw", "--since", "1h"], 2, "raw: raw output has no times"),
        (["raw", "--stderr"], 2, "raw: a raw merged log does not show what is stdout"),
        (["web", "--since", "soon"], 2, "'soon' is not a time; allowed:"),
        (["web", "--until", "1h 30m"], 2, "'1h 30m' is not a time; allowed:"),
        (["web", "--grep", "("], 2, "--grep '(': "),
        (["web", "--run", "web/77"], 4, "no run 'web/77': it neither runs nor is in the history"),
        (["web", "--run", "db/1"], 4, "no run 'db/1'"),
        (["quiet"], 1, 'quiet: its output is not kept in a file: log.to = "none"'),
        (["nobody"], 4, "no task 'nobody'"),
    ],
)
def test_what_logs_refuses_has_a_reason(talking: Lab, words: list[str], code: int, says: str) -> None:
    assert says in talking.ctl("logs", *words, code=code).err


def test_every_verb_takes_the_same_notations_of_time(talking: Lab) -> None:
    """Durations as in the config. A time without a zone is UTC, as in all output, in every local time zone."""
    before, after = (history_reader.stamp(time.time() + seconds)[:-1] for seconds in (-3600, 3600))
    for words, zone in (
        (("--since", "1h30m"), "UTC"),
        (("--since", "5400"), "UTC"),
        (("--since", before), "America/Los_Angeles"),
        (("--until", after), "Asia/Tokyo"),
    ):
        assert len(texts(talking.ctl("logs", "web", "--stdout", *words, env={"TZ": zone}).out)) == 2, words
    for verb in (["logs", "web"], ["runs"], ["heatmap"]):
        assert "'soon' is not a time; allowed: " in talking.ctl(*verb, "--since", "soon", code=2).err
        assert "is not a time" not in talking.ctl(*verb, "--since", "1h30m", code=None).err


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("1h30m", -5400.0),
        ("2d", -172800.0),
        ("250ms", -0.25),
        ("90", -90.0),
        ("2026-11-21", "2026-11-21T00:00:00.000Z"),
        ("2026-11-21T14:02", "2026-11-21T14:02:00.000Z"),
        ("2026-11-21T14:02:11.123Z", "2026-11-21T14:02:11.123Z"),
        ("2026-11-21T14:02:11+01:00", "2026-11-21T13:02:11.000Z"),
        ("0001-01-01T00:00+01:00", None),
        ("0s", None),
        ("", None),
    ],
)
def test_moments(given: str, wanted: float | str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        if wanted is None:
            with pytest.raises(argparse.ArgumentTypeError, match="is not a time; allowed: "):
                history_reader.moment(given)
        elif isinstance(wanted, str):
            assert history_reader.stamp(history_reader.moment(given)) == wanted
        else:
            assert history_reader.moment(given) - time.time() == pytest.approx(wanted, abs=20)
    finally:
        monkeypatch.undo()
        time.tzset()


SAID = ("web:1 out", "database out", "web:2 out", "web:1 err", "web:2 out", "database out", "web:1 out")
"""Who says what in each second."""


@pytest.fixture
def three(lab: Lab) -> Lab:
    """Three instances whose files have lines of the same seven seconds."""
    lab.start('[defaults]\nlog = { to = "file" }\ncommand = "sleep 1000"\n[task.web]\nreplicas = 2\n[task.database]\n')
    lab.up("web:1", "web:2", "database")
    (lab.dir / "log").mkdir(exist_ok=True)
    for second, said in enumerate(SAID):
        name, stream = said.split()
        with (lab.dir / "log" / f"{name.removesuffix(':1')}.log").open("a") as file:
            file.write(f"2026-11-21T14:02:0{second}.000Z {stream} line {second}\n")
    return lab


def test_several_instances_are_merged_by_time(three: Lab) -> None:
    wanted = [
        "web:1    | 2026-11-21T14:02:00.000Z line 0",
        "database | 2026-11-21T14:02:01.000Z line 1",
        "web:2    | 2026-11-21T14:02:02.000Z line 2",
        "web:1    | 2026-11-21T14:02:03.000Z err line 3",
        "web:2    | 2026-11-21T14:02:04.000Z line 4",
        "database | 2026-11-21T14:02:05.000Z line 5",
        "web:1    | 2026-11-21T14:02:06.000Z line 6",
    ]
    assert three.ctl("logs", "web", "database").out.splitlines() == wanted
    assert three.ctl("logs", "database", "web", "-n", "1").out.splitlines() == wanted[4:]
    assert three.ctl("logs", "web", "--until", "2026-11-21T14:02:03Z").out.splitlines() == [
        line.replace("    |", " |") for line in wanted[:4] if line.startswith("web")
    ]
    told = three.ctl("logs", "web", "database", "--json").out.splitlines()
    assert [f"{one['name']} {one['stream']}" for one in map(json.loads, told)] == list(SAID)


def test_on_a_terminal_each_of_several_has_a_colour(three: Lab) -> None:
    terminal = Terminal(three, "logs", "web", "database")
    shown = terminal.until(b"line 6").decode().splitlines()
    assert terminal.end() == 0
    heads = [re.fullmatch(r"\033\[(\d+)m(\S+) *\| \033\[0m2026-\S+ (.*)", line) for line in shown]
    assert all(heads), shown
    assert [head[2] for head in heads] == [said.split()[0] for said in SAID]
    assert len({(head[1], head[2]) for head in heads}) == len({head[1] for head in heads}) == 3
    assert [head[3] for head in heads][2:4] == ["line 2", "\033[31merr\033[0m line 3"]
    terminal = Terminal(three, "logs", "database")
    shown = terminal.until(b"line 5").decode().splitlines()
    assert shown == [f"2026-11-21T14:02:0{second}.000Z line {second}" for second in (1, 5)]
    assert terminal.end() == 0


def test_rotated_and_compressed_files_are_read(lab: Lab) -> None:
    lab.start(
        '[task.web]\nlog = { to = "file", max_size = "8K", keep = 2000, compress = true }\n'
        'command = ["sh", "-c", "seq 12000; exec sleep 1000"]\n'
    )
    lab.up("web")
    folder = lab.dir / "log"

    def compressed() -> bool:
        names = sorted(path.name for path in folder.glob("web.log*"))
        return len(names) > 3 and names[0] == "web.log" and all(name.endswith(".gz") for name in names[1:])

    wait_for(lambda: (folder / "web.log").exists() and "12000" in lab.ctl("logs", "web", "-n", "1").out)
    wait_for(compressed)
    numbers = [str(number) for number in range(1, 12001)]
    assert texts(lab.ctl("logs", "web", "-n", "13000").out) == numbers
    assert texts(lab.ctl("logs", "web", "-n", "11900").out) == numbers[100:]
    assert texts(lab.ctl("logs", "web", "--since", "1h").out) == numbers
    assert texts(lab.ctl("logs", "web", "--grep", "^7$").out) == ["7"]


def test_a_damaged_file_is_named_and_the_others_are_shown(three: Lab) -> None:
    log = three.dir / "log" / "database.log"
    spoiled = log.with_name("database.log.1.gz")
    spoiled.write_bytes(gzip.compress(b"".join(b"%d\n" % number for number in range(100000)))[:-1000])
    (log.with_name("database.log.2")).write_text("the oldest\n")
    answer = three.ctl("logs", "database", "-n", "1000000", code=1)
    shown = answer.out.splitlines()
    assert shown[:2] == ["the oldest", "0"]
    assert [line[-6:] for line in shown[-2:]] == ["line 1", "line 5"]
    assert len(shown) > 50000
    assert answer.err.startswith(f"supctl: database: lines may be missing here: {spoiled} is damaged: ")
    assert answer.err.count("\n") == 1
    assert texts(three.ctl("logs", "database", "-n", "2").out) == ["line 1", "line 5"], "it is not needed"


def test_n_0_shows_no_old_line(three: Lab) -> None:
    """Like `tail -n 0`."""
    assert three.ctl("logs", "database", "-n", "0").out == ""
    assert three.ctl("logs", "database", "-n", "0", "--grep", "line").out == ""
    assert "invalid" in three.ctl("logs", "database", "-n", "-1", code=2).err
    terminal = Terminal(three, "logs", "web", "database", "-n", "0", "-f")
    log = three.dir / "log" / "database.log"

    def said() -> bool:
        with log.open("a") as file:
            file.write("2026-11-21T14:02:09.000Z out new\n")
        return bool(select.select([terminal.ours], [], [], 0.1)[0])

    wait_for(said, "it follows")
    shown = terminal.until(b"new").decode()
    terminal.end(signal.SIGINT)
    assert "line" not in shown


def test_logs_of_one_run(talking: Lab) -> None:
    before = talking.tasks()["web"]["run"]
    talking.ctl("restart", "web")
    wait_for(lambda: talking.ctl("logs", "web", "--stdout").out.count("three") == 2)
    assert len(texts(talking.ctl("logs", "web", "--run", before).out)) == 3
    assert len(texts(talking.ctl("logs", "web", "--run", talking.tasks()["web"]["run"]).out)) == 3


def test_logs_of_every_run_in_the_history(lab: Lab) -> None:
    """Also its last output, which is read after its end; also without the supervisor."""
    lab.start(
        '[defaults]\nlog = { to = "file" }\n'
        '[task.job]\nkind = "triggered"\ncommand = ["sh", "-c", "echo $SUPERVISOR_RUN"]\n'
        '[task.json]\nkind = "triggered"\ncommand = ["sh", "-c", "echo $SUPERVISOR_RUN"]\nlog = { format = "json" }\n'
    )
    ids = {}
    for task in ("job", "json"):
        for _ in range(4):
            lab.ctl("run", task, "--wait")
        ids[task] = [one["run"] for one in lab.ctl("runs", task, "--json").json["runs"]]
        said = [lab.ctl("logs", task, "--run", run).out for run in ids[task]]
        assert [text.split()[-1:] for text in said] == [[run] for run in ids[task]]
    assert lab.ctl("logs", "job", "--run", "job/2").out.split()[-1] == ids["job"][1]
    assert (
        "is a run of json, which is not one of the given names" in lab.ctl("logs", "job", "--run", "json/2", code=4).err
    )
    lab.end(signal.SIGKILL)
    assert lab.ctl("logs", "job", "--run", "job/3").out.split()[-1] == ids["job"][2]


@pytest.mark.parametrize("fmt", ["plain", "raw", "json"])
def test_logs_of_runs_whose_output_was_read_late(lab: Lab, fmt: str) -> None:
    """@scribe is stopped or dead during the runs. Each run still has its own lines, and no line of another one."""
    lab.start(
        f'[defaults]\nlog = {{ to = "file", format = "{fmt}", max_size = "4K" }}\n'
        '[task.job]\nkind = "triggered"\ncommand = ["sh", "-c", "echo of $SUPERVISOR_RUN; printf last"]\n'
    )
    lab.ctl("run", "job", "--wait")
    scribe = wait_for(lab.scribe)
    os.kill(scribe, signal.SIGSTOP)
    for _ in range(12):
        lab.ctl("run", "job", "--wait")
    os.kill(scribe, signal.SIGKILL)
    lab.ctl("run", "job", "--wait")
    wait_for(lambda: not lab.unread())
    epoch = lab.ctl("runs", "job", "--json").json["runs"][0]["run"].partition("@")[2]
    for number in range(1, 15):  # the history keeps the last of them as one row
        run = f"job:1/{number}@{epoch}"
        shown = [json.loads(line) for line in lab.ctl("logs", "job", "--run", run, "--json").out.splitlines()]
        assert [one["message"] for one in shown] == [f"of {run}", "last"], run
    assert lab.ctl("logs", "job", "--run", "job/14").err == ""


def test_logs_of_a_run_without_output(lab: Lab) -> None:
    lab.start(
        '[defaults]\nlog = { to = "file" }\n'
        '[task.job]\nkind = "triggered"\ncommand = ["sh", "-c", "echo said; test $0 = 1", "1"]\n'
        '[task.mute]\nkind = "triggered"\ncommand = "true"\n'
    )
    for task in ("job", "mute"):
        lab.ctl("run", task, "--wait")
    answer = lab.ctl("logs", "mute", "--run", "mute/1")
    assert (answer.out, answer.err) == (
        "",
        "supctl: mute: no output of this run: it wrote nothing, or the file is gone (log.keep)\n",
    )
    assert texts(lab.ctl("logs", "job", "mute", "--run", "job/1").out) == ["said"]
    (lab.dir / "log" / "job.log").unlink()
    answer = lab.ctl("logs", "job", "--run", "job/1", code=1)
    assert answer.err.startswith("supctl: job: lines may be missing here: a part of it was in a file that was removed")


def test_a_run_is_followed(lab: Lab) -> None:
    """Without the lines of the next run."""
    lab.start(
        '[defaults]\nlog = { to = "file" }\n'
        '[task.job]\ncommand = ["sh", "-c", "echo 1 of $SUPERVISOR_RUN; while ! test -e go; do sleep 0.01; done;'
        ' echo 2 of $SUPERVISOR_RUN; exec sleep 1000"]\ndirectory = "."\n'
    )
    lab.up("job")
    run = lab.tasks()["job"]["run"]
    terminal = Terminal(lab, "logs", "job", "--run", "job/1", "-f")
    terminal.until(f"1 of {run}".encode())
    (lab.dir / "go").touch()
    terminal.until(f"2 of {run}".encode())
    lab.ctl("restart", "job")
    wait_for(lambda: "2 of job:1/2" in lab.ctl("logs", "job").out)
    assert terminal.process.poll() is None
    terminal.end(signal.SIGINT)
    assert b"job:1/2" not in terminal.text


def test_logs_without_a_supervisor(talking: Lab) -> None:
    talking.end(signal.SIGKILL)
    answer = talking.ctl("logs", "web", "--stderr")
    assert texts(answer.out) == ["err two"]
    talking.start()
    assert texts(talking.ctl("logs", "web", "--stderr").out) == ["err two"], "the task was taken over"


BURST = 8000
FAST = """
[task.fast]
log = {{ to = "file", max_size = "8K", keep = {keep}, compress = {compress} }}
command = ["sh", "-c", '''
    echo 0; n=1; while test $n -lt {end}; do
        while ! test -e $n; do sleep 0.01; done; seq $n $((n + {burst} - 1)); n=$((n + {burst}))
    done; exec sleep 1000''']
"""


class Followed:
    """A `supctl logs -f` of a task that says numbers, in bursts of some dozens of rotations each."""

    def __init__(self, lab: Lab, keep: int, compress: str) -> None:
        self.lab = lab
        lab.start(FAST.format(keep=keep, compress=compress, burst=BURST, end=2 * BURST))
        lab.up("fast")
        wait_for(lambda: lab.ctl("logs", "fast").out.endswith(" 0\n"))
        env = {**lab.env, "SUPERVISOR_SOCKET": str(lab.socket)}
        with open(lab.dir / "followed", "wb") as out, open(lab.dir / "complained", "wb") as err:
            self.process = subprocess.Popen([*SUPCTL, "logs", "-f", "fast"], stdout=out, stderr=err, env=env)
        wait_for(lambda: self.numbers() == [0])

    def numbers(self) -> list[int]:
        lines = (self.lab.dir / "followed").read_text().split("\n")[:-1]
        return [int(line.rpartition(" ")[2]) for line in lines]

    def complaints(self) -> list[str]:
        return (self.lab.dir / "complained").read_text().splitlines()

    def burst(self, number: int) -> int:
        """Lets the task go on; returns the last number that it says."""
        (self.lab.dir / str(number * BURST + 1)).touch()
        return (number + 1) * BURST

    def written(self, last: int) -> bool:
        """Whether a burst is in the files, and all that is to be compressed is."""
        names = [path.suffix for path in (self.lab.dir / "log").glob("fast*")]
        plain = [suffix for suffix in names if suffix not in (".log", ".gz")]
        said = self.lab.ctl("logs", "fast", "-n", "1").out.endswith(f" {last}\n")
        return said and (not plain or ".gz" not in names)

    def shown(self, last: int) -> list[int]:
        """What was shown, as soon as that is."""
        wait_for(lambda: self.numbers()[-1] == last, f"{last} is shown; {self.complaints()}")
        return self.numbers()


@pytest.fixture
def followed(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Followed]:
    one = Followed(lab, *request.param)
    yield one
    one.process.kill()
    one.process.wait()


@pytest.mark.parametrize("followed", [(2000, "true"), (2000, "false")], ids=["compressed", "not"], indirect=True)
def test_follow_over_quick_rotations(followed: Followed) -> None:
    """Each line once and in order: with rotations during a read, and with many rotations between two reads."""
    last = followed.burst(0)
    assert followed.shown(last) == list(range(last + 1))
    followed.process.send_signal(signal.SIGSTOP)
    last = followed.burst(1)
    wait_for(lambda: followed.written(last))
    followed.process.send_signal(signal.SIGCONT)
    assert followed.shown(last) == list(range(last + 1))
    assert followed.complaints() == []


@pytest.mark.parametrize("followed", [(3, "true"), (3, "false")], ids=["compressed", "not"], indirect=True)
def test_follow_reports_removed_lines(followed: Followed) -> None:
    followed.process.send_signal(signal.SIGSTOP)
    last = followed.burst(0)
    wait_for(lambda: followed.written(last))
    followed.process.send_signal(signal.SIGCONT)
    seen = followed.shown(last)
    assert seen == sorted(set(seen))
    assert len(seen) < last
    assert ["lines may be missing here" in one for one in followed.complaints()] == [True]


def test_why_and_show_have_the_last_output_of_a_failed_run(talking: Lab) -> None:
    talking._seen = 0
    talking.until(name="bad", to="failed")
    wait_for(lambda: "| oh no" in talking.ctl("why", "bad").out)
    shown = talking.ctl("show", "bad", "--json").json["instances"][0]
    assert (shown["last_words"], shown["lost_output"], shown["unread_output"]) == (["oh no"], None, 0)
    assert talking.ctl("why", "web", "--json").json["instances"][0]["last_words"] is None
    talking.ctl("stop", "web")
    wait_for(lambda: not talking.unread())
    assert "Its last output" not in talking.ctl("why", "web").out, "it was asked to end"


def test_long_last_output_is_cut_in_text_and_whole_in_json(lab: Lab) -> None:
    lab.start(
        '[task.bad]\nlog = { to = "file" }\nrestart = "never"\ncommand = ["sh", "-c", "printf %0500d 7 >&2; exit 3"]\n'
    )
    lab.until(name="bad", to="failed")
    line = wait_for(lambda: [one for one in lab.ctl("why", "bad").out.splitlines() if "| 000" in one])[0]
    assert len(line) < 220
    assert line.endswith(" …")
    assert len(lab.ctl("why", "bad", "--json").json["instances"][0]["last_words"][0]) == 500


def test_no_byte_is_lost_when_both_are_killed_in_a_flood(lab: Lab) -> None:
    """Repeated kill -9 of @scribe and of the supervisor: the file has exactly the bytes that the task wrote."""
    lab.start(
        '[task.web]\nlog = { to = "file", format = "raw", max_size = "100G" }\n'
        'command = ["sh", "-c", \'seq 1 3000000; exec sleep 1000\']\n'
    )
    lab.up("web")
    wanted = b"".join(b"%d\n" % number for number in range(1, 3000001))
    log = lab.dir / "log" / "web.log"
    for _ in range(4):
        if (scribe := lab.scribe()) != 0:
            os.kill(scribe, signal.SIGKILL)
        lab.end(signal.SIGKILL)
        lab.start()
        size = log.stat().st_size if log.exists() else 0
        wait_for(lambda size=size: log.exists() and (log.stat().st_size > size or log.stat().st_size == len(wanted)))
    wait_for(lambda: log.stat().st_size >= len(wanted), "all of it comes")
    assert log.read_bytes() == wanted


def test_a_scribe_that_stands_still_delays_nothing(lab: Lab) -> None:
    """Like a disk that hangs: restarts, answers and stops go on."""
    lab.start(
        '[defaults]\nlog = { to = "file" }\nbackoff = { initial = "10ms", jitter = 0 }\n'
        '[task.web]\ncommand = ["sh", "-c", \'echo up; exec sleep 1000\']\n'
        '[task.crash]\ncommand = ["sh", "-c", \'echo $SUPERVISOR_RUN; exit 1\']\nbackoff = { max = "10ms" }\n'
    )
    lab.up("web")
    scribe = wait_for(lab.scribe)
    os.kill(scribe, signal.SIGSTOP)
    try:
        before = lab.tasks()["crash"]["restarts"]
        wait_for(lambda: lab.tasks()["crash"]["restarts"] >= before + 20)
        said = f"@scribe (pid {scribe}) was stopped by a signal"
        assert said in lab.ctl("status", code=None).out
        assert lab.ask("status")["answer"]["supervisor"]["helpers"][0].startswith(said)
        lab.ctl("restart", "web")
        lab.ctl("stop", "web", "crash")
    finally:
        os.kill(scribe, signal.SIGCONT)
    wait_for(lambda: not lab.unread())
    wait_for(lambda: len(os.listdir(lab.run / "output")) < 10, "what was left is taken away")
    assert lab.ask("status")["answer"]["supervisor"]["helpers"] == []
    runs = texts(lab.ctl("logs", "crash", "-n", "1000").out)
    assert runs == [f"crash:1/{number}@{runs[0].partition('@')[2]}" for number in range(1, len(runs) + 1)]


def test_a_scribe_that_is_down_is_in_status(lab: Lab) -> None:
    """It is restarted with back-off, and output of tasks waits for it."""
    lab.start('[task.web]\ncommand = "sleep 1000"').up("web")

    def helpers() -> list[str]:
        if scribe := lab.scribe():
            os.kill(scribe, signal.SIGKILL)
        return lab.ask("status")["answer"]["supervisor"]["helpers"]

    (said,) = wait_for(helpers)
    assert said.startswith("@scribe does not run (killed by SIGKILL")


def test_a_directory_named_supervisor_is_not_imported(lab: Lab) -> None:
    """A directory `supervisor` in the working directory, with any content, is not imported."""
    (lab.dir / "supervisor").mkdir()
    (lab.dir / "supervisor/__init__.py").write_text("raise SystemExit('a stranger')")
    lab.start(
        f'[task.web]\nlog = {{ to = "{lab.dir}/web.log" }}\ncommand = ["sh", "-c", "echo up; exec sleep 1000"]\n',
        command=[sys.executable, "-P", "-m", "supervisor", "-c", str(lab.path)],
    )
    wait_for(lambda: (lab.dir / "web.log").exists() and "up" in (lab.dir / "web.log").read_text())


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_lost_output_is_in_status_events_and_an_alert(lab: Lab) -> None:
    """The disk is full: the task goes on, and an alert is sent."""
    told = lab.dir / "told"
    lab.start(
        f'[task.web]\nlog = {{ to = "/dev/full" }}\ncommand = ["sh", "-c", "echo 12345678; exec sleep 1000"]\n'
        f'[task.db]\nlog = {{ to = "{lab.dir}/db.log" }}\ncommand = ["sh", "-c", "echo up; exec sleep 1000"]\n',
        f'notify_command = ["sh", "-c", \'cat > {told}.new; mv {told}.new {told}\']',
    )
    lab.up("web", "db")
    lost = wait_for(lambda: lab.tasks()["web"]["lost_output"])
    assert (lost["bytes"], lost["lines"], lost["why"]) == (9, 1, "No space left on device")
    assert "9 bytes of its output dropped" in lab.ctl("status").out
    assert lab.tasks()["db"]["lost_output"] is None
    assert lab.until("dropped-output")["name"] == "web"
    for verb in ("why", "show"):
        said = "9 bytes (1 lines) of its output could not be written: No space left on device."
        assert said in lab.ctl(verb, "web").out.splitlines(), verb
        assert "could not be written" not in lab.ctl(verb, "db").out
        assert lab.ctl(verb, "web", "--json").json["instances"][0]["lost_output"] == lost
    wait_for(told.exists)
    assert json.loads(told.read_text())["subject"] == "lab: web lost output"
