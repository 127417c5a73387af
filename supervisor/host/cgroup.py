"""Cgroups: the kernel itself knows which processes belong to a run, and kills all of them at once (cgroup-v2.rst).

Wherever the supervisor may write the unified hierarchy (as root, or where a service manager has delegated a part of it:
`Delegate=yes`), it has one directory, and in it a fresh cgroup per run:

    …/supervisor.service            our own cgroup, or that beside which DelegateSubgroup= has put us
        supervisor-812-40721        the tree of one supervisor: its pid and birth, so that the next one knows it is over
            1731977               a run; named by the moment at which it was made, so that no name comes twice

A cgroup is never used for a second run: after `cgroup.kill`, some kernels (6.12 to 6.18) kill whatever is cloned
into it. The runs of a group that has limits are one level lower, in `@GROUP`, which has the limits of all of them. It
goes with the last run in it; a new supervisor takes the one in which runs live, as two would allow twice as much.

Controllers are enabled only when a task has limits that need them, by its own child (`share`), from the tree upwards. A
cgroup that has them must have no process of its own, so they can be had where the supervisor was put beside the tree
(DelegateSubgroup=, systemd 254) or is in the root of the machine, and nowhere else: a supervisor that moved itself away
could not be started again by a systemd that puts it where it was.

So the supervisor does not move itself: it, its spawner and its helpers are where they were started, beside the tree.
The units that we ship have systemd start it in a leaf.
"""

from __future__ import annotations

import os
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NEVER = "SUPERVISOR_CGROUPS"
"""An environment variable that only tests set, to "no": the supervisor does without."""

_TREE = "supervisor-"


class NoCgroupError(Exception):
    """There is none to be had; the text says why."""


# -- where ------------------------------------------------------------------------------------------------------------


def plant(pid: int, birth: int) -> str:
    """Makes the tree of the supervisor with this pid and birth. Returns its directory.

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
    """The tree of the supervisor with this pid and birth, that was started where `base` is."""
    return f"{base}/{_TREE}{pid}-{birth}"


def ground() -> str:
    """The directory in which a supervisor that is started here makes its tree.

    Raises:
        NoCgroupError: it makes none.
    """
    if os.environ.get(NEVER) == "no":
        raise NoCgroupError(f"{NEVER}=no")
    base = home()
    if not os.access(base, os.W_OK):
        raise NoCgroupError(f"cannot make a cgroup in {base}: not ours to write")
    return base


def home() -> str:
    """The directory of the cgroup in which the tree belongs.

    Raises:
        NoCgroupError: no unified hierarchy is mounted where we are in it.
    """
    own = _own()
    for root, place in _mounts():
        if own == root or own.startswith(root.rstrip("/") + "/"):
            found = (place + "/" + own[len(root.rstrip("/")) :].lstrip("/")).rstrip("/")
            above = os.path.dirname(found)
            return above if _delegated(above) and not _delegated(found) else found
    raise NoCgroupError("no cgroup v2 is mounted that has our own in it")


def _own() -> str:
    with open("/proc/self/cgroup") as file:
        for line in file:
            if line.startswith("0::"):
                return line[3:].rstrip("\n")
    raise NoCgroupError("this kernel has no cgroup v2")


def _mounts() -> Iterator[tuple[str, str]]:
    """The part of the hierarchy that is mounted, and where, of each mount (proc_pid_mountinfo(5))."""
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
    """Whether a service manager says so: systemd marks the top of what it delegates, and only that."""
    try:
        return os.getxattr(directory, "user.delegate") == b"1"
    except OSError:
        return False


def mounted() -> str:
    """The top of the hierarchy that is mounted; "" when there is none."""
    with suppress(OSError):
        return next((place for _, place in _mounts()), "")
    return ""


def in_the_way(base: str) -> str:
    """Why a cgroup gives no controllers to those in it: in words."""
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
    """The cgroup of one run, and the tree if that was removed meanwhile."""
    try:
        os.mkdir(path)
    except FileNotFoundError:
        os.makedirs(path)


def remove(path: str) -> bool:
    """Removes a cgroup and what a task made in it. False when processes are left in it."""
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:
        below = list(_below(path))
        removed = [remove(inner) for inner in below]
        return bool(removed) and all(removed) and remove(path)
    return True


def clear_old(tree: str, is_alive: Callable[[int, int], bool]) -> None:
    """Removes what supervisors that are no more have left empty beside our tree."""
    for path in _below(os.path.dirname(tree)):
        name = os.path.basename(path)
        pid, _, birth = name.removeprefix(_TREE).partition("-")
        if name.startswith(_TREE) and pid.isdigit() and birth.isdigit() and not is_alive(int(pid), int(birth)):
            remove(path)


def tree_of(run: str) -> str:
    """The tree in which the cgroup of a run is."""
    above = os.path.dirname(run)
    return os.path.dirname(above) if os.path.basename(above).startswith("@") else above


def runs(tree: str) -> list[str]:
    """The cgroups of all runs of a tree, also of those that are in a group."""
    groups = [path for path in _below(tree) if os.path.basename(path).startswith("@")]
    return [path for place in (tree, *groups) for path in _below(place) if os.path.basename(path).isdigit()]


def _below(path: str) -> Iterator[str]:
    try:
        with os.scandir(path) as entries:
            yield from [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return


def _count(directory: str, name: str, event: str) -> int:
    """How often that has happened, by a file of the kernel that counts events (memory.events)."""
    words = _read(directory, name).split()
    count = words[words.index(event) + 1 :][:1] if event in words else []
    return int(count[0]) if count and count[0].isdecimal() else 0


def _exhausted(directory: str) -> str:
    """The memory limit of this very cgroup, if processes died of it; "" if not, or it has none any more."""
    from supervisor.core.size import words  # noqa: PLC0415 - hardly ever

    limit = _read(directory, "memory.max")
    if _count(directory, "memory.events.local", "oom") == 0 or not limit.isdecimal():
        return ""
    return f"memory limit {words(int(limit))}"


def _read(directory: str, name: str) -> str:
    """A file of a cgroup; empty when there is none."""
    try:
        with open(f"{directory}/{name}") as file:
            return file.read().strip()
    except OSError:
        return ""


# -- one run ----------------------------------------------------------------------------------------------------------


class Cgroup:
    """The cgroup of one run, which may be gone already."""

    __slots__ = ("path", "watched")

    def __init__(self, path: str) -> None:
        self.path = path
        self.watched = -1  # the descriptor that `watch` has opened

    def watch(self) -> int:
        """A descriptor that tells by EPOLLPRI when a look at `alive` is due; every look tells it again.

        The kernel holds back what follows within 10 ms of an earlier change, so what is known to have happened
        is looked at, not waited for.
        """
        if self.watched < 0:
            self.watched = os.open(f"{self.path}/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
        return self.watched

    def alive(self) -> bool:
        """Whether any process is in it. What is about to die, and can do nothing any more, does not count."""
        try:
            populated = b"populated 1" in os.pread(self.watch(), 200, 0)
        except OSError:  # removed
            return False
        return populated and bool(self._inside(self.path))

    def pids(self) -> list[int]:
        """Every process in it that we can see."""
        return [pid for pid in self._inside(self.path) if pid]

    def _inside(self, path: str) -> list[int]:
        """Also in cgroups below, which a task may have made; one that another pid namespace hides is 0."""
        try:
            with open(f"{path}/cgroup.procs", "rb") as file:
                found = [int(pid) for pid in file.read().split()]
        except OSError:
            return []
        for inner in _below(path):
            found += self._inside(inner)
        return found

    def out_of_memory(self) -> str:
        """That the kernel has killed in it for want of memory, and whose limit it was; "" if it has not.

        `memory.events` counts for all that is below as well, `memory.events.local` what a cgroup's own limit has done:
        a group has not killed what one of its members has done to itself.
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
        """SIGKILL to all of it; no fork escapes."""
        try:
            fd = os.open(f"{self.path}/cgroup.kill", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:  # removed
            return
        try:
            os.write(fd, b"1")
        finally:
            os.close(fd)

    def freeze(self, *, frozen: bool) -> None:
        """Has all of it stand still, or go on; also what a task moved into cgroups of its own below."""
        with suppress(OSError):  # removed
            fd = os.open(f"{self.path}/cgroup.freeze", os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(fd, b"1" if frozen else b"0")
            finally:
                os.close(fd)

    def frozen(self) -> bool:
        """Whether all of it stands still; one in the middle of a system call needs a moment."""
        try:
            return b"frozen 1" in os.pread(self.watch(), 200, 0)
        except OSError:  # removed
            return False

    def close(self) -> None:
        """Looks no longer."""
        if self.watched >= 0:
            os.close(self.watched)
            self.watched = -1
