"""Lost output is counted to the byte, however often @scribe is killed, and the file reports it in the end."""

import random
import threading

import pytest
from paper import Paper, wait_for

from supervisor.logs.sums import Sums, mark_of
from supervisor.store.statefile import LOSSES

LINES = 60_000
DATA = b"".join(b"line %d\n" % number for number in range(LINES))


def no_place(paper: Paper) -> None:
    """Logs cannot be written: something else is where their directory should be."""
    paper.log.rmdir()
    paper.log.write_text("")


def lost(paper: Paper) -> tuple[int, int]:
    one = LOSSES.read(str(paper.run)).get("web:1", {})
    return one.get("bytes", 0), one.get("lines", 0)


@pytest.mark.parametrize("seed", range(4))
def test_the_count_is_exact_whenever_scribe_is_killed(paper: Paper, seed: int) -> None:
    drawn = random.Random(seed)
    paper.manifest(format="plain")
    no_place(paper)
    paper.scribe()
    done = threading.Event()
    with paper.open("web:1.1@e.out") as out:

        def write() -> None:
            for begin in range(0, len(DATA), 20_000):
                out.write(DATA[begin : begin + 20_000])
            done.set()

        threading.Thread(target=write, daemon=True).start()
        for _ in range(6):
            done.wait(drawn.uniform(0.1, 0.4))  # the moment of death is what is drawn
            paper.kill()
            paper.scribe()
        assert done.wait(30)
        paper.drained()
        paper.kill()
        paper.scribe()
        wait_for(lambda: lost(paper)[0] >= len(DATA), "all of it is counted")
        assert lost(paper) == (len(DATA), LINES)
        paper.kill()
        paper.log.unlink()
        paper.log.mkdir()
        paper.scribe()
        wait_for(lambda: b"are missing here" in paper.read("web.log"), "the file says it")
        out.write(b"room again\n")
        wait_for(lambda: b"room again\n" in paper.read("web.log"))
    says = b"[supervisor: %d bytes (%d lines) are missing here: Not a directory]\nroom again\n" % (len(DATA), LINES)
    assert paper.lines("web.log", "plain") == says


ONE = {"bytes": 10, "lines": 1, "why": "x", "at": "2026-11-21T14:02:11.123Z"}


def test_a_sum_whose_block_is_still_in_its_fifo_does_not_count(tmp_path):
    path = str(tmp_path / "sums")
    there: list[list] = []
    made = Sums(path, lambda block: block in there)
    made.record({"a": ONE}, mark_of("f", b"1"))
    made.record({"a": ONE | {"bytes": 20}, "b": ONE}, mark_of("f", b"2"))
    there.append(mark_of("f", b"2"))
    assert Sums(path, lambda block: block in there).newest == {"a": ONE}
    there.clear()
    assert Sums(path, lambda block: True).newest == {"a": ONE}, "what did not count is forgotten"


def test_the_file_stays_small_and_outlives_its_removal(tmp_path):
    path = tmp_path / "sums"
    made = Sums(str(path), lambda block: False)
    for number in range(1, 3000):
        made.record({f"{number % 7}": ONE | {"bytes": number, "why": "x" * 100}})
    assert path.stat().st_size < 1 << 19
    path.unlink()
    made.renew()
    made.record({"3": ONE | {"bytes": 0}})
    assert sorted(Sums(str(path), lambda block: False).newest) == ["0", "1", "2", "4", "5", "6"]


JUNK = (
    b"", b"\xff\n", b"[1]\n", b'{"sums": 7}\n', b'{"sums": {"a": {"bytes": "x"}}}\n', b'{"sums": {"a": {"by',
    b'{"sums": {}, "block": ["f", "x", 1]}\n', b"[" * 90_000,
)  # fmt: skip


@pytest.mark.parametrize("junk", JUNK)
def test_a_damaged_file_of_losses_stops_nothing(tmp_path, junk):
    path = tmp_path / "sums"
    path.write_bytes(junk)
    made = Sums(str(path), lambda block: True)
    assert made.newest == {}
    made.record({"a": ONE})
    assert Sums(str(path), lambda block: True).newest == {"a": ONE}
