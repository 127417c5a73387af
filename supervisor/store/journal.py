"""The journal: what the next supervisor has to know, complete at every instruction.

One append-only file in the runtime directory, which is memory and lost at boot. Each line is a JSON object: the
first a header, the others the newest facts of one instance (`"instance"`), or of the fleet (`"fleet"`). A later
line replaces an earlier one with the same name. All facts of one turn of the loop are one write(2), before anything
that depends on them is done; so a supervisor that dies at any instruction leaves all of them or none, or, killed in
the middle of that write, the first of them.

A line that is torn or of an unknown shape is reported and not trusted; fields that a later version has added are
ignored (`VERSION`); a file of another boot or of a version that is not known is set aside. What can become of the file
is in `sheet`.
"""

from __future__ import annotations

import json
from typing import Any

from supervisor.core.definition import StopPolicy, Task
from supervisor.core.immutable import names_of, plain
from supervisor.core.instance import Health, Instance, Order, Outcome, Pause, Run
from supervisor.core.states import ALIVE, WAITING, State
from supervisor.store.sheet import Sheet

VERSION = 1
"""Another program reads this journal too: the next one, and, after an upgrade that failed, the one before.

So a record may get more fields without another version: who does not know a field ignores it, and who misses one takes
its default. The number is raised only when an older program would understand something wrongly, or not at all, without
it: another meaning or type of a field, one that goes, a new state. Then `supctl upgrade` refuses, in both directions.
"""

COMPACT_ABOVE = 1 << 20
"""Bytes after which the file may be rewritten, when most of it is out of date."""

PART = 16
"""Where the runtime directory is small, one part of so many of it are these bytes."""

OUTDATED = 4
"""So many times what is needed the file may have."""

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True).encode


class Journal:
    """The file, and the newest line of each name in it."""

    def __init__(self, path: str, boot: str, epoch: str, sheet: Sheet | None = None) -> None:
        """Opens or makes it.

        Args:
            path: the file.
            boot: the kernel's boot id.
            epoch: is used when a new file is begun.
            sheet: what the file is on; default: the disk.

        Raises:
            OSError: it can be neither read nor made.
        """
        self.path = path
        self._sheet = sheet or Sheet(path)
        self.boot = boot
        self.epoch = epoch
        self.complaints: list[str] = []
        self.facts: dict[str, dict[str, Any]] = {}
        self._lines: dict[str, str] = {}
        self._whole = True  # the file has every line; False after a write that failed, which may have torn its end
        self._load()
        self._needed = sum(map(len, self._lines.values()))  # bytes of the file that are not out of date
        try:
            self._rewrite()
        except OSError:
            if not self.facts:
                raise
            self._go_on()

    def write(self, records: list[dict[str, Any]]) -> None:
        """Appends records; a record of `{"instance": NAME, "gone": true}` forgets one.

        Raises:
            OSError: the runtime directory is full or gone.
        """
        lines = []
        for record in records:
            line = _encode(record)
            name = _name(record)
            before = self._lines.get(name, "")
            if record.get("gone"):
                self._lines.pop(name, None)
                self._needed -= len(before)
            elif before == line:
                continue  # nothing that the next one has to know: a sign of life, one more good answer
            else:
                self._lines[name] = line
                self._needed += len(line) - len(before)
            lines.append(line)
        if not lines and self._whole:
            return
        data = ("\n".join(lines) + "\n").encode()
        if self._whole and self._size + len(data) > self._most and self._compacted():
            return
        self._size += len(data)
        whole, self._whole = self._whole, False
        if not whole or self._sheet.append(data) != len(data):  # a short write: the disk is full, or was
            self._rewrite()
        self._whole = True

    @property
    def _most(self) -> int:
        """Bytes from which on the file is rewritten."""
        return max(min(COMPACT_ABOVE, self._room // PART), OUTDATED * self._needed)

    @property
    def claims(self) -> int:
        """Bytes of the runtime directory that it may yet take: until it is rewritten, and for the second copy then."""
        return max(0, self._most - self._size) + self._needed

    def _compacted(self) -> bool:
        """Whether what is out of date is gone. It need not be, while there is no room for a second copy."""
        try:
            self._rewrite()
        except OSError:
            return False
        return True

    @property
    def fd(self) -> int:
        """The file that is written to."""
        return self._sheet.fd

    def anew(self) -> None:
        """The file is gone: it is written as a whole.

        Raises:
            OSError: it cannot be.
        """
        self._whole = False
        self._rewrite()
        self._whole = True

    def clear(self) -> None:
        """Nothing is left that a next supervisor has to know: it begins afresh."""
        self._sheet.remove()

    def _load(self) -> None:
        content = self._sheet.read()
        if content is None:
            return
        lines = content.split(b"\n")
        header = _parse(lines[0]) or {}
        if header.get("boot") != self.boot:
            self.complaints.append(f"{self.path} is of another boot: what it says of processes is not trusted")
            return
        if header.get("journal") != VERSION:
            aside = self.path + ".unknown"
            self._sheet.put_aside(aside)
            self.complaints.append(
                f"{self.path} has version {header.get('journal')!r}, not {VERSION}: set aside as {aside}"
            )
            return
        self.epoch = str(header.get("epoch", self.epoch))
        self.facts, unknown = _facts(lines)
        for number, line in unknown:
            self.complaints.append(f"{self.path}:{number}: torn or unknown, not trusted: {line[:80]!r}")
        self._lines = {name: _encode(record) for name, record in self.facts.items()}

    def _go_on(self) -> None:
        """There is no room for a second file, but tasks live, and somebody has to see to them: with the first one."""
        self._size, self._whole, self._room = self._sheet.go_on(), False, self._sheet.whole()

    def _rewrite(self) -> None:
        header = _encode({"journal": VERSION, "boot": self.boot, "epoch": self.epoch})
        data = ("\n".join([header, *self._lines.values()]) + "\n").encode()
        self._sheet.replace(data)
        self._size, self._room = len(data), self._sheet.whole()


def peek(path: str, boot: str, sheet: Sheet | None = None) -> dict[str, dict[str, Any]]:
    """What a journal of this boot and version says, without touching it; nothing when there is none.

    Raises:
        OSError: it cannot be read.
    """
    content = (sheet or Sheet(path)).read()
    if content is None:
        return {}
    lines = content.split(b"\n")
    header = _parse(lines[0]) or {}
    return _facts(lines)[0] if (header.get("boot"), header.get("journal")) == (boot, VERSION) else {}


def unreadable(path: str, boot: str) -> str:
    """Why this version cannot go on with a journal of this boot, which is not touched; "" when it can.

    Raises:
        OSError: it cannot be read.
    """
    content = Sheet(path).read()
    if content is None:
        return ""
    lines = content.split(b"\n")
    header = _parse(lines[0]) or {}
    if header.get("boot") == boot and header.get("journal") != VERSION:
        return f"{path} has version {header.get('journal')!r}, not {VERSION}"
    for name, fact in _facts(lines)[0].items():
        try:
            if "instance" in fact:
                instance_of(fact, None)
        except (KeyError, TypeError, ValueError) as error:
            return f"{path}: the record of {name} cannot be read: {error!r}"
    return ""


def boot_id() -> str:
    """The kernel's name of this boot."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def _facts(lines: list[bytes]) -> tuple[dict[str, dict[str, Any]], list[tuple[int, bytes]]]:
    """The newest record of each name after the header, and the lines that are none, with their numbers."""
    facts: dict[str, dict[str, Any]] = {}
    unknown = []
    for number, line in enumerate(lines[1:], 2):
        record = _parse(line)
        name = _name(record) if record else ""
        if record and name:
            facts[name] = record
            if record.get("gone"):
                del facts[name]
        elif line:
            unknown.append((number, line))
    return facts, unknown


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _name(record: dict[str, Any]) -> str:
    name = record.get("instance") or (record.get("fleet") and f"fleet {record['fleet']}")
    return name if isinstance(name, str) else ""


# -- instances as records ---------------------------------------------------------------------------------------------

_KEPT = (
    "wanted", "since", "deadline", "trigger", "by", "runs", "outdated", "retired",
    "restarts", "streak", "failures", "failed_at",
)  # fmt: skip

_NOT_KEPT = {"bark": None, "ask_at": None}
"""When a run's health is looked at next: the next supervisor begins anew with that."""


def record_of(instance: Instance) -> dict[str, Any]:
    """All that the next supervisor has to know of an instance."""
    record: dict[str, Any] = {"instance": instance.key, "state": str(instance.state)}
    record |= {name: getattr(instance, name) for name in _KEPT}
    record["stop"] = [instance.task.stop.signal, instance.task.stop.grace, instance.task.stop.to]
    record["order"] = instance.order and plain(instance.order)
    record["last"] = instance.last and plain(instance.last)
    record["run"] = instance.run and plain(instance.run)
    if instance.run:
        record["run"]["health"] |= _NOT_KEPT
    return record


def instance_of(record: dict[str, Any], task: Task | None) -> Instance:
    """The instance that a record tells of; with the task as it is defined now, or a stand-in that can be stopped.

    Raises:
        ValueError, TypeError, KeyError: the record does not tell what it must.
    """
    name, _, index = record["instance"].rpartition(":")
    stand_in = Task(name, stop=StopPolicy(*record["stop"][:3]))
    kept = {key: record[key] for key in _KEPT}
    kept["failed_at"] = tuple(kept["failed_at"])
    instance = Instance(
        task or stand_in,
        int(index),
        State(record["state"]),
        order=_order(record["order"]),
        last=_outcome(record["last"]),
        run=_run(record["run"]),
        **kept,
    )
    _check(instance)
    return instance


def usable(fact: dict[str, Any]) -> bool:
    """Whether `instance_of` understands it."""
    try:
        instance_of(fact, None)
    except (KeyError, TypeError, ValueError):
        return False
    return True


def rewritten(fact: dict[str, Any]) -> dict[str, Any]:
    """A record of any version as this one writes it.

    Raises:
        ValueError, TypeError, KeyError: it cannot be read.
    """
    return record_of(instance_of(fact, None)) if "instance" in fact else fact


_NUMBERS: dict[str, type | tuple[type, ...]] = {
    "since": (int, float), "runs": int, "restarts": int, "streak": int, "failures": int, "index": int,
}  # fmt: skip


def _check(i: Instance) -> None:
    """What is not as the tables of states say, or has another type, would stop the supervisor later, each time anew.

    Raises:
        ValueError: it is so.
    """
    wrong = [name for name, kind in _NUMBERS.items() if not isinstance(getattr(i, name), kind)]
    if (i.run is not None) != (i.state in ALIVE):
        wrong.append("run")
    if (i.deadline is not None) != (i.state in WAITING) or not isinstance(i.deadline, (int, float, type(None))):
        wrong.append("deadline")
    run = i.run
    if run and not all(isinstance(one, int) and one >= 0 for one in (run.pid, run.birth, run.kills, run.number)):
        wrong.append("run")
    if run and not isinstance(run.pause.since, (int, float, type(None))):
        wrong.append("pause")
    if run and not (isinstance(run.began, (int, float)) and isinstance(run.id, str)):
        wrong.append("run")
    if i.index < 1 or not all(isinstance(at, (int, float)) for at in i.failed_at):
        wrong.append("index or failed_at")
    if wrong:
        raise ValueError(f"impossible: {', '.join(wrong)}")


def _run(plain: dict[str, Any] | None) -> Run | None:
    if plain is None:
        return None
    values: dict[str, Any] = {name: tuple(plain.get(name, ())) for name in ("killed", "left")}
    values |= {"order": _order(plain["order"]), "outcome": _outcome(plain["outcome"])}
    values["health"] = Health(**_known(Health, plain.get("health", {})))
    values["pause"] = Pause(**_known(Pause, plain.get("pause", {})))
    return Run(**{**_known(Run, plain), **values})


def _outcome(plain: dict[str, Any] | None) -> Outcome | None:
    return Outcome(**{**_known(Outcome, plain), "killed": tuple(plain.get("killed", ()))}) if plain else None


def _order(plain: dict[str, Any] | None) -> Order | None:
    if plain is None:
        return None
    return Order(tuple(plain["arguments"]), tuple((name, value) for name, value in plain["environment"]))


def _known(kind: type, plain: dict[str, Any]) -> dict[str, Any]:
    """Without the fields that a later version has added."""
    return {name: plain[name] for name in names_of(kind) if name in plain}
