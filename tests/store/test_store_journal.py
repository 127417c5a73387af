"""The journal is complete at every instruction, and only readable records are trusted."""

import errno
import json
import os
import resource
import signal
from pathlib import Path

import pytest

from supervisor.core.definition import StopPolicy, Task
from supervisor.core.immutable import names_of
from supervisor.core.instance import Instance, Order, Outcome, Run
from supervisor.core.states import State
from supervisor.host import files
from supervisor.store import journal as records
from supervisor.store.journal import Journal, instance_of, peek, record_of
from supervisor.store.journal_file import END, JournalFile
from supervisor.store.journal_reader import JournalReader

ORDER = Order(("a", "caf\udce9"), (("K", "v=w"),))
OUTCOME = Outcome(
    12.5, "killed by SIGSEGV (core dumped)", success=False, signal="SIGSEGV", core_dumped=True, duration=3.25
)
INSTANCES = [
    Instance(Task("web"), 1),
    Instance(Task("web"), 2, State.HELD, wanted=True, by="root", order=ORDER, last=OUTCOME, failed_at=(1.0, 2.5)),
    Instance(Task("a:b"), 3, State.BACKOFF, deadline=7.0, streak=3, failures=2, restarts=9, runs=12),
    Instance(
        Task("web", stop=StopPolicy("SIGINT", 1.5, "main")), 1, State.STOPPING, deadline=9.0, retired=True,
        run=Run(
            3, "web:1/3@e", "manual", 1, 4.5, order=ORDER, pid=100, birth=200, program=True, cause="why", blamed=True,
            outcome=OUTCOME, kills=2,
        ),
    ),
]  # fmt: skip


def journal(path: Path, boot: str = "boot", epoch: str = "new") -> Journal:
    return Journal(str(path / "journal"), boot, epoch)


@pytest.mark.parametrize("instance", INSTANCES, ids=lambda i: f"{i.key} {i.state}")
def test_an_instance_is_restored_unchanged(tmp_path: Path, instance: Instance) -> None:
    first = journal(tmp_path)
    first.write([record_of(instance)])
    again = journal(tmp_path)
    assert again.complaints == []
    assert instance_of(again.facts[instance.key], instance.task) == instance


def test_a_task_removed_from_the_config_can_still_be_stopped() -> None:
    instance = instance_of(json.loads(json.dumps(record_of(INSTANCES[3]))), None)
    assert instance.task.stop == StopPolicy("SIGINT", 1.5, "main")
    assert instance.task.name == "web"


def more(plain: object) -> object:
    """The same with one more field in every part, as a later version may write it."""
    if not isinstance(plain, dict):
        return plain
    return {name: more(inner) for name, inner in plain.items()} | {"of a later version": [1]}


@pytest.mark.parametrize("instance", INSTANCES, ids=lambda i: f"{i.key} {i.state}")
def test_fields_of_a_later_version_are_ignored(instance: Instance) -> None:
    """A failed upgrade leaves a journal of the new version to the old one: nothing may start twice."""
    record = more(json.loads(json.dumps(record_of(instance))))
    record["stop"].append("of a later version")
    assert instance_of(record, instance.task) == instance


@pytest.mark.parametrize("instance", INSTANCES, ids=lambda i: f"{i.key} {i.state}")
def test_a_field_missing_in_an_earlier_version_has_its_default(instance: Instance) -> None:
    record = json.loads(json.dumps(record_of(instance)))
    if record["run"]:
        del record["run"]["health"], record["run"]["pause"], record["run"]["breach"], record["run"]["outcome"]["asked"]
    assert instance_of(record, instance.task) == instance


def test_every_field_of_an_instance_is_recorded_or_is_its_definition() -> None:
    """A new field that is not recorded would be lost by a crash."""
    assert set(names_of(Instance)) - {"task", "index"} <= set(record_of(INSTANCES[0]))


def test_later_lines_win_and_removed_records_stay_removed(tmp_path: Path) -> None:
    first = journal(tmp_path)
    first.write([{"instance": "a:1", "n": 1}, {"instance": "b:1", "n": 1}, {"fleet": "scales", "scales": {}}])
    first.write([{"instance": "a:1", "n": 2}, {"instance": "b:1", "gone": True}])
    assert journal(tmp_path).facts == {
        "a:1": {"instance": "a:1", "n": 2},
        "fleet scales": {"fleet": "scales", "scales": {}},
    }


def test_cut_off_at_every_byte_it_is_read_up_to_the_last_whole_line(tmp_path: Path) -> None:
    first = journal(tmp_path)
    first.write([{"instance": f"a:{n}", "n": n} for n in range(3)])
    whole = (tmp_path / "journal").read_bytes()
    header = whole.index(b"\n") + 1
    for length in range(header, len(whole) + 1):
        (tmp_path / "journal").write_bytes(whole[:length])
        again = journal(tmp_path)
        lines = whole[:length].count(b"\n") - 1
        complete = [n for n in range(3) if f"a:{n}" in again.facts]
        assert len(complete) in (lines, lines + 1)  # a line whose newline alone is missing is whole
        assert all(again.facts[f"a:{n}"] == {"instance": f"a:{n}", "n": n} for n in complete)
        assert len(again.complaints) == (whole[header:length].count(b"\n") + 1 > len(complete) and length > header
                                         and not whole[:length].endswith(b"\n"))  # fmt: skip


@pytest.mark.parametrize(
    "line", [b"null", b"[]", b"7", b"{}", b'{"instance": 3}', b'{"fleet": []}', b"\xff\xfe", b"{", b'{"instance": ""}']
)
def test_a_line_of_an_unknown_shape_is_reported_and_the_others_count(tmp_path: Path, line: bytes) -> None:
    journal(tmp_path).write([{"instance": "a:1", "n": 1}])
    with (tmp_path / "journal").open("ab") as file:
        file.write(line + b"\n" + b'{"instance":"b:1"}\n')
    again = journal(tmp_path)
    assert set(again.facts) - {"fleet []"} == {"a:1", "b:1"}
    assert all("not used" in complaint for complaint in again.complaints)


def test_another_boot_is_not_trusted(tmp_path: Path) -> None:
    journal(tmp_path).write([{"instance": "a:1"}])
    again = journal(tmp_path, boot="another")
    assert again.facts == {}
    assert "another boot" in again.complaints[0]
    assert journal(tmp_path, boot="another").complaints == []


def test_another_version_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text('{"journal": 99, "boot": "boot"}\n{"instance": "a:1"}\n')
    again = journal(tmp_path)
    assert again.facts == {}
    assert "version 99" in again.complaints[0]
    assert "a:1" in (tmp_path / "journal.unknown").read_text()


@pytest.mark.parametrize("content", ["", "\n", "nonsense", "\0" * 100])
def test_a_file_that_is_not_a_journal(tmp_path: Path, content: str) -> None:
    (tmp_path / "journal").write_text(content)
    assert journal(tmp_path).facts == {}


def test_the_epoch_stays_for_the_life_of_the_journal(tmp_path: Path) -> None:
    assert journal(tmp_path, epoch="first").epoch == "first"
    again = journal(tmp_path, epoch="second")
    assert again.epoch == "first"
    again.clear(kept=("fleet over ",))
    assert not (tmp_path / "journal").exists()
    assert journal(tmp_path, epoch="third").epoch == "third"


def test_the_end_of_a_firing_outlives_an_orderly_stop_until_it_is_on_disk(tmp_path: Path) -> None:
    one = journal(tmp_path, epoch="first")
    one.write([{"fleet": "over a/every/1", "over": {"id": "a/every/1"}}, {"fleet": "config", "path": "c"}])
    one.clear(kept=("fleet over ",))
    assert list(journal(tmp_path, epoch="second").facts) == ["fleet over a/every/1"]


def test_an_orderly_stop_on_a_full_disk_leaves_only_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second copy has no room. Without the change in place, the next supervisor would find runs that are over."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    one = journal(tmp_path, epoch="first")
    one.write([{"fleet": "holder 1", "holder": {}}, {"instance": "web:1", "run": {"id": "x"}}])
    monkeypatch.setattr(files, "replace_open", full)
    one.clear(kept=("fleet holder ",))
    monkeypatch.undo()
    again = journal(tmp_path, epoch="second")
    assert (list(again.facts), again.epoch, again.complaints) == (["fleet holder 1"], "first", [])


class Killed(BaseException):
    """The process is killed."""


def killed(*_: object) -> None:
    raise Killed


def test_a_kill_during_the_change_in_place_brings_no_old_record_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the new content, and old lines after it. Later, too, while a second copy has no room."""
    path = tmp_path / "journal"
    file = Small(str(path))
    one = Journal(str(path), "boot", "first", file)
    run = {"id": "a:1.1@first", "pid": 7}
    one.write([{"fleet": "holder 1", "holder": {}}, *({"instance": f"a:{n}", "run": run} for n in range(9))])
    file.full = True
    with monkeypatch.context() as patch:
        patch.setattr(os, "ftruncate", killed)
        with pytest.raises(Killed):
            one.clear(kept=("fleet holder ",))
    assert b'"instance"' in path.read_bytes()
    assert JournalReader(str(path)).runs() == {}
    assert list(peek(str(path), "boot")) == ["fleet holder 1"]
    again = Journal(str(path), "boot", "second", file)
    assert (list(again.facts), again.epoch, again.complaints) == (["fleet holder 1"], "first", [])
    with pytest.raises(OSError, match="No space"):
        again.write([{"instance": "b:1", "n": 1}])
    file.full = False
    again.write([{"instance": "b:1", "n": 1}])
    assert list(peek(str(path), "boot")) == ["fleet holder 1", "b:1"]


@pytest.mark.parametrize("rest", range(len(END) + 1))
def test_the_change_in_place_leaves_no_record_behind_a_part_of_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rest: int
) -> None:
    path = tmp_path / "journal"
    data = b'{"journal":1,"boot":"boot","epoch":"e"}\n'
    path.write_bytes(data[:-1] + b"x" * rest + b"\n")
    monkeypatch.setattr(os, "ftruncate", killed)
    with pytest.raises(Killed):
        JournalFile(str(path)).shrink(data)
    assert path.stat().st_size == len(data) + rest
    assert peek(str(path), "boot") == {}


def test_it_is_rewritten_when_most_of_it_is_out_of_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "COMPACT_ABOVE", 2000)
    one = journal(tmp_path)
    for number in range(1000):
        one.write([{"instance": f"a:{number % 3}", "n": number}])
        assert (tmp_path / "journal").stat().st_size < 2500
    assert {fact["n"] for fact in journal(tmp_path).facts.values()} == {997, 998, 999}


def test_it_does_not_shrink_below_what_is_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "COMPACT_ABOVE", 100)
    one = journal(tmp_path)
    one.write([{"instance": f"a:{n}", "n": n} for n in range(100)])
    one.write([{"instance": "a:0", "gone": True}])
    assert len(journal(tmp_path).facts) == 99


class Small(JournalFile):
    """A file system of so many bytes, which is full for a second copy as long as `full` says so."""

    size, full = 160_000, False

    def size_of_disk(self) -> int:
        return self.size

    def replace(self, data: bytes) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().replace(data)


def test_it_is_rewritten_sooner_where_there_is_little_room_and_says_what_it_may_yet_need(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    one = Journal(str(path), "boot", "epoch", Small(str(path)))
    for number in range(2000):
        one.write([{"instance": f"a:{number % 3}", "n": number}])
        assert path.stat().st_size <= 10_000
        assert path.stat().st_size + one.claims >= 10_000
    assert one.claims < 10_200


def test_outdated_lines_stay_while_there_is_no_room_for_a_second_copy(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    file = Small(str(path))
    one = Journal(str(path), "boot", "epoch", file)
    file.full = True
    for number in range(1000):
        one.write([{"instance": "a:1", "n": number}])
    assert path.stat().st_size > 10_000
    assert Journal(str(path), "boot", "epoch").facts["a:1"]["n"] == 999
    file.full = False
    one.renew()
    assert path.stat().st_size < 1000


def test_a_full_disk_is_an_error_and_what_was_written_before_stays(tmp_path: Path) -> None:
    one = journal(tmp_path)
    one.write([{"instance": "a:1", "n": 1}])
    size = (tmp_path / "journal").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 5, hard))
        for _ in range(3):
            with pytest.raises(OSError, match=r"No space|too large"):
                one.write([{"instance": "a:2", "n": "x" * 100}])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, old)
    assert journal(tmp_path).facts["a:1"] == {"instance": "a:1", "n": 1}


def test_records_are_written_when_there_is_room_again(tmp_path: Path) -> None:
    """Records that could not be written to the full disk are not lost, and do not damage later ones."""
    one = journal(tmp_path)
    size = (tmp_path / "journal").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 5, hard))
        with pytest.raises(OSError, match=r"No space|too large"):
            one.write([{"instance": "a:1", "n": 1}])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, old)
    one.write([{"instance": "b:1", "n": 2}])
    again = journal(tmp_path)
    assert again.facts == {"a:1": {"instance": "a:1", "n": 1}, "b:1": {"instance": "b:1", "n": 2}}


def test_a_start_with_no_room_for_a_second_file_goes_on_with_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tasks live and need a supervisor; nothing new is started until there is room."""
    journal(tmp_path).write([{"instance": "a:1", "n": 1}])
    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", _no_room)
        with pytest.raises(OSError, match="No space"):
            journal(tmp_path, boot="another")
        again = journal(tmp_path)
        assert again.facts == {"a:1": {"instance": "a:1", "n": 1}}
        with pytest.raises(OSError, match="No space"):
            again.write([{"instance": "b:1"}])
    again.write([{"instance": "c:1"}])
    assert set(journal(tmp_path).facts) == {"a:1", "b:1", "c:1"}


def _no_room(*_: str) -> None:
    raise OSError(28, "No space left on device")


def test_no_other_user_may_read_the_journal(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        journal(tmp_path)
    finally:
        os.umask(old)
    assert (tmp_path / "journal").stat().st_mode & 0o777 == 0o600


GOOD = json.loads(json.dumps(record_of(INSTANCES[3])))


@pytest.mark.parametrize(
    "change",
    [
        {"state": "flying"}, {"state": "running"}, {"state": "stopped"}, {"run": None}, {"deadline": None},
        {"deadline": "soon"}, {"since": "now"}, {"runs": None}, {"failed_at": ["x"]}, {"failed_at": None},
        {"instance": "web"}, {"instance": "web:0"}, {"instance": "web:x"}, {"stop": 7}, {"last": {"at": 1}},
        {"run": GOOD["run"] | {"pid": "100"}}, {"run": GOOD["run"] | {"birth": None}},
        {"run": GOOD["run"] | {"pid": -1}}, {"run": {"number": 1}},
    ],
    ids=str,
)  # fmt: skip
def test_a_record_that_is_impossible_is_refused(change: dict[str, object]) -> None:
    """It would end the supervisor later, and each of its successors."""
    instance_of(GOOD, None)
    with pytest.raises((ValueError, TypeError, KeyError)):
        instance_of(GOOD | change, None)
    for name in GOOD:
        with pytest.raises((ValueError, TypeError, KeyError)):
            instance_of({key: value for key, value in GOOD.items() if key != name}, None)
