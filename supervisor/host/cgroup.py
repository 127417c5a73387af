"""Cgroups: the kernel knows which processes belong to a run, and kills all of them at once (cgroup-v2.rst).

The supervisor uses cgroups where it may write the unified hierarchy. It may do so as root, or where a service manager
has delegated a part of it (`Delegate=yes`). There it makes one directory, and in it a new cgroup for each run:

    …/supervisor.service            our own cgroup, or that beside which DelegateSubgroup= has put us
        supervisor-812-40721        the tree of one supervisor: its pid and birth show the next one that it has ended
            1731977               a run; named by the moment at which it was made, so that no name comes twice

A cgroup is never used for a second run: after `cgroup.kill`, some kernels (6.12 to 6.18) kill whatever is cloned
into it. The runs of a group that has limits are one level lower, in `@GROUP`, which has the limits of all of them.
That cgroup is removed with the last run in it. A new supervisor takes over the one in which runs live: two of them
would allow twice as much.

Controllers are enabled only when a task has limits that need them. The child of that task enables them
(`sandbox.cgroup_limits`), from the tree upwards. A cgroup that has controllers must have no process of its own. So
they are available in two places only:

- where systemd has put the supervisor beside the tree (DelegateSubgroup=, systemd 254);
- in the root cgroup of the machine.

The supervisor, its spawner and its helpers never move to another cgroup. If the supervisor moved away, systemd could
not start it again where it was. The units that we ship tell systemd to start it in a leaf, beside the tree.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress

from supervisor.core.size import words
from supervisor.host.lookup import GONE, with_reserve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NEVER = "SUPERVISOR_CGROUPS"
"""An environment variable that only tests set, to "no": then the supervisor uses no cgroups."""

_TREE = "supervisor-"

_NO_DIRECTORIES = 2
"""The link count of a directory without subdirectories, in file systems that count them; in others it is 1."""


class NoCgroupError(Exception):
    """No cgroup is available; the text says why."""


# -- where ------------------------------------------------------------------------------------------------------------


def plant(pid: int, birth: int) -> str:
    """Make the tree of the supervisor with this pid and birth. Return its directory.

    Raises:
        NoCgroupError: this is not possible here.
    """
    base = ground()
    tree = tree_in(base, pid, birth)
    try:
        os.makedirs(tree, exist_ok=True)
    except OSError as error:
        raise NoCgroupError(f"cannot make a cgroup in {base}: {error.strerror}") from None
    if os.access(f"{tree}/cgroup.kill", os.W_OK) and os.access(f"{base}/cgroup.procs", os.W_OK):
        return tree
    os.rmdir(tree)
    raise NoCgroupError(f"{base} has no cgroup.kill (Linux 5.14), or processes may not be put there")


def tree_in(base: str, pid: int, birth: int) -> str:
    """Return the tree of the supervisor with this pid and birth that was started in `base`."""
    return f"{base}/{_TREE}{pid}-{birth}"


def ground() -> str:
    """Return the directory in which a supervisor that is started here makes its tree.

    Raises:
        NoCgroupError: it makes none.
    """
    if os.environ.get(NEVER) == "no":
        raise NoCgroupError(f"{NEVER}=no")
    base = home()
    if not os.access(base, os.W_OK):
        raise NoCgroupError(f"cannot make a cgroup in {base}: no permission to write")
    return base


def home() -> str:
    """Return the directory of the cgroup in which the tree belongs.

    Raises:
        NoCgroupError: no mount of the unified hierarchy shows our own cgroup.
    """
    own = _own()
    for root, place in _mounts():
        if own == root or own.startswith(root.rstrip("/") + "/"):
            found = (place + "/" + own[len(root.rstrip("/")) :].lstrip("/")).rstrip("/")
            above = os.path.dirname(found)
            return above if _delegated(above) and not _delegated(found) else found
    raise NoCgroupError("no mounted cgroup v2 hierarchy contains our own cgroup")


def _own() -> str:
    if own := of_process("self"):
        return own
    raise NoCgroupError("this kernel has no cgroup v2")


def of_process(pid: int | str) -> str:
    """Return the cgroup of a process or zombie, as the hierarchy names it; "" when the process is gone.

    Raises:
        OSError: it is not known, because no descriptor is left.
    """
    try:
        fd = os.open(f"/proc/{pid}/cgroup", os.O_RDONLY | os.O_CLOEXEC)
        try:
            lines = os.read(fd, 65536).split(b"\n")
        finally:
            os.close(fd)
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return next((os.fsdecode(line[3:]) for line in lines if line.startswith(b"0::")), "")


def in_hierarchy(directory: str) -> str:
    """Return the name of the cgroup with this directory, as `of_process` gives it; "" when it is not mounted."""
    for root, place in _mounts():
        if directory.startswith(place + "/"):
            return root.rstrip("/") + directory[len(place) :]
    return ""


def _mounts() -> Iterator[tuple[str, str]]:
    """Yield for each mount the part of the hierarchy that it shows, and its mount point (proc_pid_mountinfo(5))."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            words, _, kind = line.partition(" - ")
            if kind.startswith("cgroup2 "):
                root, place = words.split()[3:5]
                yield _plain(root), _plain(place)


def _plain(path: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        path = path.replace(code, character)
    return path


def _delegated(directory: str) -> bool:
    """Whether a service manager has delegated this cgroup: systemd marks only the top of what it delegates."""
    try:
        return os.getxattr(directory, "user.delegate") == b"1"
    except OSError:
        return False


def mounted() -> str:
    """Return the top of the mounted hierarchy; "" when none is mounted."""
    with suppress(OSError):
        return next((place for _, place in _mounts()), "")
    return ""


def in_the_way(base: str) -> str:
    """Say in words why a cgroup gives no controllers to the cgroups in it."""
    return f"the supervisor is itself in {base}; DelegateSubgroup= of systemd 254 helps"


def disks_share() -> bool:
    """Whether any disk gives each cgroup its share: by io.cost (cgroup-v2.rst) or by the scheduler bfq."""
    if "enable=1" in _read(mounted(), "io.cost.qos").split():
        return True
    with suppress(OSError):
        return any("[bfq]" in _read(f"/sys/block/{disk}/queue", "scheduler") for disk in os.listdir("/sys/block"))
    return False


# -- making and removing ----------------------------------------------------------------------------------------------


def make(path: str) -> None:
    """Make the cgroup of one run, and the tree if it was removed."""
    try:
        os.mkdir(path)
    except FileNotFoundError:
        os.makedirs(path)


def remove(path: str) -> bool:
    """Remove a cgroup and the cgroups that a task made in it. False when processes are, or may be, left in it."""
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:
        try:
            below = _below(path)
        except OSError:  # not known: the caller tries again
            return False
        removed = [remove(inner) for inner in below]
        return bool(removed) and all(removed) and remove(path)
    return True


def clear_old(tree: str, is_alive: Callable[[int, int], bool]) -> None:
    """Remove the empty trees that ended supervisors have left beside our tree.

    Raises:
        OSError: the trees cannot be listed.
    """
    for path in _below(os.path.dirname(tree)):
        name = os.path.basename(path)
        pid, _, birth = name.removeprefix(_TREE).partition("-")
        if name.startswith(_TREE) and pid.isdigit() and birth.isdigit() and not is_alive(int(pid), int(birth)):
            remove(path)


def tree_of(run: str) -> str:
    """Return the tree in which the cgroup of a run is."""
    above = os.path.dirname(run)
    return os.path.dirname(above) if os.path.basename(above).startswith("@") else above


def runs(tree: str) -> list[str]:
    """Return the cgroups of all runs of a tree, also of those that are in a group.

    Raises:
        OSError: they cannot be listed.
    """
    groups = [path for path in _below(tree) if os.path.basename(path).startswith("@")]
    return [path for place in (tree, *groups) for path in _below(place) if os.path.basename(path).isdigit()]


@with_reserve
def _below(path: str) -> list[str]:
    """Return the cgroups in this one; none when it is gone.

    Raises:
        OSError: they cannot be listed.
    """
    try:
        if os.stat(path).st_nlink == _NO_DIRECTORIES:  # takes a third of the time of listing it
            return []
        with os.scandir(path) as entries:
            return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError as error:
        if error.errno in GONE:
            return []
        raise


def _count(directory: str, name: str, event: str) -> int:
    """Return how often an event has happened, from a file in which the kernel counts events (memory.events)."""
    words = _read(directory, name).split()
    count = words[words.index(event) + 1 :][:1] if event in words else []
    return int(count[0]) if count and count[0].isdecimal() else 0


def _exhausted(directory: str) -> str:
    """Return this cgroup's own memory limit if processes died of it. "" if none did, or the limit is gone."""
    limit = _read(directory, "memory.max")
    if _count(directory, "memory.events.local", "oom") == 0 or not limit.isdecimal():
        return ""
    return f"memory limit {words(int(limit))}"


def _read(directory: str, name: str) -> str:
    """Return the content of a cgroup's file, for people; empty when there is none, or it cannot be read."""
    try:
        return _content(f"{directory}/{name}").decode().strip()
    except OSError:
        return ""


@with_reserve
def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


@with_reserve
def _write(path: str, data: bytes) -> None:
    """Write to a file of a cgroup. A cgroup that is gone is no error.

    Raises:
        OSError: the kernel did not take it.
    """
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, data)
        finally:
            os.close(fd)
    except OSError as error:
        if error.errno not in GONE:
            raise


# -- one run ----------------------------------------------------------------------------------------------------------


class Cgroup:
    """The cgroup of one run, which may be gone already.

    Only "it is gone" means that nothing is in it. All methods raise OSError when the content is not known.
    """

    __slots__ = ("path", "watched")

    def __init__(self, path: str) -> None:
        self.path = path
        self.watched = -1  # the descriptor that `watch` has opened

    def watch(self) -> int:
        """Return a descriptor that signals EPOLLPRI when `alive` must be asked; asking arms it again.

        The kernel delays the signal for a change within 10 ms of an earlier one. So a caller that knows of a change
        asks at once, and does not wait.
        """
        if self.watched < 0:
            self.watched = os.open(f"{self.path}/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
        return self.watched

    def alive(self) -> bool:
        """Whether any process is in it. A process that is dying, and can do nothing any more, does not count."""
        return b"populated 1" in self._events() and bool(self._inside(self.path))

    def _events(self) -> bytes:
        """Return the content of `cgroup.events`; empty when the cgroup is gone."""
        try:
            if self.watched < 0:
                return _content(f"{self.path}/cgroup.events")
            return os.pread(self.watched, 200, 0)
        except OSError as error:
            if error.errno in GONE:
                return b""
            raise

    def pids(self) -> list[int]:
        """Return every process in it that we can see."""
        return [pid for pid in self._inside(self.path) if pid]

    def _inside(self, path: str) -> list[int]:
        """Return also those in cgroups below, which a task may have made. A pid hidden by its namespace is 0."""
        try:
            found = [int(pid) for pid in _content(f"{path}/cgroup.procs").split()]
        except OSError as error:
            if error.errno in GONE:
                return []
            if error.errno != errno.EOPNOTSUPP:  # a threaded cgroup: the one above it lists its processes
                raise
            found = []
        for inner in _below(path):
            found += self._inside(inner)
        return found

    def out_of_memory(self) -> str:
        """Say whether the kernel killed processes in it for lack of memory, and whose limit that was; "" if not.

        `memory.events` also counts what happens in the cgroups below. `memory.events.local` counts only kills by a
        cgroup's own limit. So a kill by the limit of one member does not count as a kill by the group's limit.
        """
        if _count(self.path, "memory.events", "oom_kill") == 0:
            return ""
        if own := _exhausted(self.path):
            return own
        group = os.path.dirname(self.path)
        name = os.path.basename(group)
        shared = _exhausted(group) if name.startswith("@") else ""
        return f"{shared} of {name}" if shared else "out of memory"

    def kill(self) -> None:
        """Send SIGKILL to all processes in it; no fork escapes."""
        _write(f"{self.path}/cgroup.kill", b"1")

    def freeze(self, *, frozen: bool) -> None:
        """Freeze or thaw all processes in it, also those that a task moved into its own cgroups below."""
        _write(f"{self.path}/cgroup.freeze", b"1" if frozen else b"0")

    def frozen(self) -> bool:
        """Whether all processes in it are frozen; a process in the middle of a system call needs a moment."""
        return b"frozen 1" in self._events()

    def close(self) -> None:
        """Close the descriptor of `watch`."""
        if self.watched >= 0:
            os.close(self.watched)
            self.watched = -1
