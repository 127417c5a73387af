"""Keep the journal: all that the next supervisor needs to know, complete at every moment.

The journal is one append-only file in the runtime directory, which is in memory and lost at boot. Each line is a JSON
object. The first line is a header. Each other line has the newest facts of one instance (`"instance"`) or of the fleet
(`"fleet"`). A later line replaces an earlier one with the same name.

The parent writes all facts of one turn of the loop by one write(2). It does so before any action that depends on them.
So a supervisor that dies leaves all of these facts or none. One that is killed during the write leaves the first of
them.

- A torn line, or one of an unknown shape: the journal reports it and does not trust it.
- Fields that a later version has added: ignored (`VERSION`).
- A file of another boot: not trusted. A file of an unknown version: set aside.

`journal_file` lists the faults that the file can have.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from supervisor.core.definition import StopPolicy, Task
from supervisor.core.immutable import names_of, plain
from supervisor.core.instance import Health, Instance, Order, Outcome, Pause, Run
from supervisor.core.states import ALIVE, WAITING, State
from supervisor.core.utf8 import json_object
from supervisor.host.place import place_of
from supervisor.store.journal_file import JournalFile

VERSION = 1
"""The version of the journal. Two other programs read it: the newer one, and the older one after a failed upgrade.

A record may get more fields under the same version. A program ignores a field that it does not know. It uses the
default for a field that is missing. The number is raised only when an older program would misunderstand a record, or
could not read it. Examples are a new meaning or type of a field, a removed field, and a new state. Then
`supctl upgrade` refuses, in both directions.
"""

COMPACT_ABOVE = 1 << 20
"""Bytes from which the file may be rewritten, when most of it is out of date."""

PART = 16
"""In a small runtime directory that limit is the size of its file system, divided by this number."""

OUTDATED = 4
"""The file may be this many times as large as its lines that are up to date."""

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True).encode


class Journal:
    """The file, and the newest line of each name in it."""

    def __init__(self, path: str, boot: str, epoch: str, file: JournalFile | None = None) -> None:
        """Open or create the file.

        Args:
            path: the file.
            boot: the kernel's boot id.
            epoch: for a new file.
            file: the access to the file; default: the one on the disk.

        Raises:
            OSError: the file can be neither read nor created.
        """
        self.path = path
        self._file = file or JournalFile(path)
        self.boot = boot
        self.epoch = epoch
        self.complaints: list[str] = []
        self.facts: dict[str, dict[str, Any]] = {}
        self._lines: dict[str, str] = {}
        self._whole = True  # the file has every line; False after a failed write, which may have torn its end
        self._load()
        self._needed = sum(map(len, self._lines.values()))  # bytes of the file that are not out of date
        try:
            self._rewrite()
        except OSError:
            if not self.facts:
                raise
            self._append_to_old()

    def write(self, records: list[dict[str, Any]]) -> None:
        """Append records. A record `{"instance": NAME, "gone": true}` removes that instance.

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
                continue  # the next supervisor need not know it: a watchdog message, one more good answer
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
        if not whole or self._file.append(data) != len(data):  # a short write: the disk is full, or was
            self._rewrite()
        self._whole = True

    @property
    def _most(self) -> int:
        """The size in bytes at which the file is rewritten."""
        return max(min(COMPACT_ABOVE, self._room // PART), OUTDATED * self._needed)

    @property
    def claims(self) -> int:
        """The bytes that the journal may still need: until the next rewrite, and for the second copy during it."""
        return max(0, self._most - self._size) + self._needed

    def _compacted(self) -> bool:
        """Rewrite the file without the outdated lines; return whether there was room for the second copy."""
        try:
            self._rewrite()
        except OSError:
            return False
        return True

    def is_there(self) -> bool:
        """See `Kept`."""
        return place_of(self.path) == place_of(self._file.fd)

    def renew(self) -> None:
        """See `Kept`. Write the whole file again."""
        self._whole = False
        self._rewrite()
        self._whole = True

    def clear(self, kept: tuple[str, ...]) -> None:
        """End an orderly stop: remove all records but those whose names begin with `kept`, which the next needs.

        Without such records, remove the file.
        """
        self._lines = {name: line for name, line in self._lines.items() if name.startswith(kept)}
        if not self._lines:
            self._file.remove()
            return
        try:
            self._rewrite()
        except OSError:  # a full disk: it would have runs that are over
            with suppress(OSError):
                self._file.shrink(self._content())

    def _load(self) -> None:
        content = self._file.read()
        if content is None:
            return
        lines = content.split(b"\n")
        header = json_object(lines[0]) or {}
        if header.get("boot") != self.boot:
            self.complaints.append(f"{self.path} is of another boot: its records of processes are not used")
            return
        if header.get("journal") != VERSION:
            aside = self.path + ".unknown"
            self._file.set_aside(aside)
            self.complaints.append(
                f"{self.path} has version {header.get('journal')!r}, not {VERSION}: set aside as {aside}"
            )
            return
        self.epoch = str(header.get("epoch", self.epoch))
        self.facts, unknown = _facts(lines)
        for number, line in unknown:
            self.complaints.append(f"{self.path}:{number}: incomplete or unknown, not used: {line[:80]!r}")
        self._lines = {name: _encode(record) for name, record in self.facts.items()}

    def _append_to_old(self) -> None:
        """Append to the old file: there is no room for a second one, but living tasks need a supervisor."""
        self._size, self._whole, self._room = self._file.open_to_append(), False, self._file.size_of_disk()

    def _content(self) -> bytes:
        header = _encode({"journal": VERSION, "boot": self.boot, "epoch": self.epoch})
        return ("\n".join([header, *self._lines.values()]) + "\n").encode()

    def _rewrite(self) -> None:
        data = self._content()
        self._file.replace(data)
        self._size, self._room = len(data), self._file.size_of_disk()


def peek(path: str, boot: str, file: JournalFile | None = None) -> dict[str, dict[str, Any]]:
    """Return the facts of a journal of this boot and version, without a change to it; none when there is no such file.

    Raises:
        OSError: it cannot be read.
    """
    content = (file or JournalFile(path)).read()
    if content is None:
        return {}
    lines = content.split(b"\n")
    header = json_object(lines[0]) or {}
    return _facts(lines)[0] if (header.get("boot"), header.get("journal")) == (boot, VERSION) else {}


def unreadable(path: str, boot: str) -> str:
    """Return why this version cannot use a journal of this boot; "" when it can. The file is not changed.

    Raises:
        OSError: it cannot be read.
    """
    content = JournalFile(path).read()
    if content is None:
        return ""
    lines = content.split(b"\n")
    header = json_object(lines[0]) or {}
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
    """Return the kernel's id of this boot."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def _facts(lines: list[bytes]) -> tuple[dict[str, dict[str, Any]], list[tuple[int, bytes]]]:
    """Return the newest record of each name after the header, and the lines that are no records, with their numbers."""
    facts: dict[str, dict[str, Any]] = {}
    unknown = []
    for number, line in enumerate(lines[1:], 2):
        record = json_object(line)
        name = _name(record) if record else ""
        if record and name:
            facts[name] = record
            if record.get("gone"):
                del facts[name]
        elif line:
            unknown.append((number, line))
    return facts, unknown


def _name(record: dict[str, Any]) -> str:
    name = record.get("instance") or (record.get("fleet") and f"fleet {record['fleet']}")
    return name if isinstance(name, str) else ""


# -- instances as records ---------------------------------------------------------------------------------------------

_KEPT = (
    "wanted", "since", "deadline", "trigger", "by", "runs", "outdated", "retired",
    "restarts", "streak", "failures", "failed_at",
)  # fmt: skip

_NOT_KEPT = {"bark": None, "ask_at": None}
"""The moments of the next health checks of a run: the journal leaves them out, the next supervisor sets new ones."""


def record_of(instance: Instance) -> dict[str, Any]:
    """Return all that the next supervisor needs to know about an instance."""
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
    """Return the instance of a record, with the current definition of the task, or a placeholder that can be stopped.

    Raises:
        ValueError: the record lacks something, or contains something wrong.
    """
    try:
        instance = _instance(record, task)
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from None
    _check(instance)
    return instance


def _instance(record: dict[str, Any], task: Task | None) -> Instance:
    name, _, index = record["instance"].rpartition(":")
    stand_in = Task(name, stop=StopPolicy(*record["stop"][:3]))
    kept = {key: record[key] for key in _KEPT}
    kept["failed_at"] = tuple(kept["failed_at"])
    return Instance(
        task or stand_in,
        int(index),
        State(record["state"]),
        order=_order(record["order"]),
        last=_outcome(record["last"]),
        run=_run(record["run"]),
        **kept,
    )


def usable(fact: dict[str, Any]) -> bool:
    """Return whether `instance_of` understands this record."""
    try:
        instance_of(fact, None)
    except (KeyError, TypeError, ValueError):
        return False
    return True


def rewritten(fact: dict[str, Any]) -> dict[str, Any]:
    """Return a record of any version in the form that this version writes.

    Raises:
        ValueError, TypeError, KeyError: it cannot be read.
    """
    return record_of(instance_of(fact, None)) if "instance" in fact else fact


def _check(i: Instance) -> None:
    """Check an instance against the tables of states and the types of its fields.

    A wrong instance would stop this supervisor later, and each one after it.

    Raises:
        ValueError: the instance is wrong.
    """
    run = i.run
    values = (i, i.order, i.last, run, *((run.health, run.pause, run.outcome, run.order) if run else ()))
    if wrong := [f"{name} of {type(one).__name__}" for one in values if one for name in mistyped(one)]:
        raise ValueError(f"of another type: {', '.join(wrong)}")
    if (i.run is not None) != (i.state in ALIVE):
        wrong.append("run")
    if (i.deadline is not None) != (i.state in WAITING):
        wrong.append("deadline")
    if run and min(run.pid, run.birth, run.kills, run.number, run.group) < 0:
        wrong.append("run")
    if min(i.index - 1, i.runs, i.restarts, i.streak, i.failures) < 0:
        wrong.append("counters")
    if not all(_is(at, (int, float)) for at in i.failed_at):
        wrong.append("failed_at")
    if wrong:
        raise ValueError(f"impossible: {', '.join(wrong)}")


_KINDS: dict[str, tuple[type, ...]] = {"int": (int,), "float": (int, float), "str": (str,), "bool": (bool,)}
"""The annotations of fields, with the types of values that a record may have for each."""


def mistyped(value: object) -> list[str]:
    """Return the names of the fields whose value has another type than the annotation."""
    wrong = []
    for name, kind in type(value).__annotations__.items():
        content, optional = getattr(value, name), kind.endswith(" | None")
        kinds = _KINDS.get(kind.removesuffix(" | None"))
        texts = kind == "tuple[str, ...]" and not all(isinstance(one, str) for one in content)
        if texts or (kinds and not (_is(content, kinds) or (optional and content is None))):
            wrong.append(name)
    return wrong


def _is(content: object, kinds: tuple[type, ...]) -> bool:
    """Return whether a value has one of these types; a number must not be larger than a clock or a counter can hold."""
    return isinstance(content, kinds) and (not isinstance(content, (int, float)) or abs(content) < LARGEST)


LARGEST = 1e11
"""The seconds of three thousand years. No pid and no counter is larger. NaN fails the comparison, too."""


def _run(plain: dict[str, Any] | None) -> Run | None:
    if plain is None:
        return None
    values: dict[str, Any] = {name: tuple(plain.get(name, ())) for name in ("killed", "left", "spared")}
    values |= {"order": _order(plain["order"]), "outcome": _outcome(plain["outcome"])}
    values["health"] = Health(**_known(Health, plain.get("health", {})))
    values["pause"] = Pause(**_known(Pause, plain.get("pause", {})))
    return Run(**{**_known(Run, plain), **values})


def _outcome(plain: dict[str, Any] | None) -> Outcome | None:
    if plain is None:
        return None
    names = {name: tuple(plain.get(name, ())) for name in ("killed", "spared")}
    return Outcome(**{**_known(Outcome, plain), **names})


def _order(plain: dict[str, Any] | None) -> Order | None:
    if plain is None:
        return None
    environment = tuple((name, value) for name, value in plain["environment"])
    if not all(isinstance(word, str) for pair in environment for word in pair):
        raise ValueError("an environment must consist of strings")
    names = ("firing", "due", "missed", "late", "stdin", "attempt", "interrupted", "text")
    firing = {name: plain[name] for name in names if name in plain}
    return Order(tuple(plain["arguments"]), environment, **firing)


def _known(kind: type, plain: dict[str, Any]) -> dict[str, Any]:
    """Return the record without the fields that a later version has added."""
    return {name: plain[name] for name in names_of(kind) if name in plain}
