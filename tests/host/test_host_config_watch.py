"""The parent watches directories without a call to their file systems: an errand makes each one."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from supervisor.host import config_watch, inotify
from supervisor.host.config_watch import ConfigWatch
from supervisor.host.errand import Errands
from supervisor.host.interface import ConfigTouched, Done, Occurrence
from supervisor.host.loop import Loop

BOUND = 20.0


class Parent:
    """A loop with errands and a watch."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.errands = Errands(self.loop)
        self.lines: list[str] = []
        self.watch = ConfigWatch(self._begin, lambda _level, text: self.lines.append(text))
        self.loop.add_watch(self.watch, lambda _: [ConfigTouched()] if self.watch.concerned() else [])

    def _begin(self, function: Any, *arguments: object, keep: int = -1) -> int:
        return self.errands.run(time.monotonic(), function, *arguments, keep=keep)

    def until_touched(self) -> ConfigTouched:
        end = time.monotonic() + BOUND
        while not (found := [one for one in self.turn() if isinstance(one, ConfigTouched)]):
            assert time.monotonic() < end, f"nothing is seen; {self.lines}"
        return found[0]

    def turn(self) -> list[Occurrence]:
        found: list[Occurrence] = []
        for one in self.loop.wait(0.1):
            found += (self.watch.done(one) or []) if isinstance(one, Done) else [one]
        return found

    def until_asked(self) -> None:
        end = time.monotonic() + BOUND
        while self.watch._asked or self.watch._links:
            assert self.turn() == []
            assert time.monotonic() < end


@pytest.fixture
def parent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Parent]:
    """Only a child may call the file system."""
    ours, add, islink = os.getpid(), inotify.add, os.path.islink

    def in_a_child(*arguments: Any) -> Any:
        assert os.getpid() != ours, "the parent itself has made a call that may hang"
        return add(*arguments)

    def looks(path: str) -> bool:
        assert os.getpid() != ours, "the parent itself has made a call that may hang"
        return islink(path)

    monkeypatch.setattr(config_watch, "add", in_a_child)
    monkeypatch.setattr(os.path, "islink", looks)
    made = Parent()
    yield made
    os.close(made.watch.fd)


def test_a_change_is_seen_and_so_is_the_watch_itself(parent: Parent, tmp_path: Path) -> None:
    parent.watch.set(((str(tmp_path), "*.toml"),))
    assert not parent.until_touched().certain
    (tmp_path / "a.toml").write_text("x")
    assert parent.until_touched().certain
    parent.until_asked()
    parent.watch.set(((str(tmp_path), "*.toml"),))
    parent.until_asked()
    (tmp_path / "a.txt").write_text("of no concern")
    assert parent.turn() == []


def test_a_link_counts_without_a_write_and_a_new_file_does_not(parent: Parent, tmp_path: Path) -> None:
    parent.watch.set(((str(tmp_path), "*"),))
    parent.until_touched()
    with (tmp_path / "file").open("w"):
        parent.turn()
        parent.until_asked()
    parent.until_touched()  # it is closed
    (tmp_path / "link").symlink_to("file")
    parent.until_touched()


def test_one_that_is_replaced_is_watched_again(parent: Parent, tmp_path: Path) -> None:
    place = tmp_path / "conf.d"
    place.mkdir()
    parent.watch.set(((str(place), "*"),))
    parent.until_touched()
    place.rename(tmp_path / "old")
    parent.until_touched()
    place.mkdir()
    parent.watch.set(((str(place), "*"),))
    parent.until_touched()
    (place / "a").write_text("x")
    parent.until_touched()


def test_one_that_does_not_answer_delays_no_other(
    parent: Parent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, alive = tmp_path / "dead", tmp_path / "alive"
    alive.mkdir()
    add = config_watch.add_kept

    def hangs(directory: str, mask: int) -> tuple[int, int]:
        return add(directory, mask) if directory == str(alive) else time.sleep(1000)  # type: ignore[return-value]

    monkeypatch.setattr(config_watch, "add_kept", hangs)
    places = ((str(dead), "*"), (str(alive), "*"))
    parent.watch.set(places)
    parent.until_touched()
    (alive / "a").write_text("x")
    parent.until_touched()
    parent.watch.set(places)
    assert list(parent.watch._asked.values()).count(str(dead)) == 1, "no second one waits for it"
    parent.errands.due(time.monotonic() + 1000)  # ends it


def test_one_that_is_missing_is_named(parent: Parent, tmp_path: Path) -> None:
    parent.watch.set(((str(tmp_path / "none"), "*"),))
    parent.until_asked()
    assert parent.lines == [f"cannot watch {tmp_path}/none for changes of the freeze keys: No such file or directory"]
