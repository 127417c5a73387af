"""Set groups, user and capabilities of a confined child. See credentials(7), capabilities(7), prctl(2), capset(2)."""

from __future__ import annotations

import ctypes
import os

from supervisor.host.step import StepError, entry_of

PR_SET_KEEPCAPS = 8
PR_CAPBSET_DROP = 24
PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 47, 2
_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def become(user: str | None, group: str | None, groups: tuple[str, ...], *, keep: bool) -> None:
    """Become the user with these groups. `keep`: the present capabilities stay permitted."""
    entry = entry_of(user) if user else None
    if group or groups or (entry and not os.geteuid()):
        gid = _gid(group) if group else entry.pw_gid if entry else os.getegid()
        member_of = os.getgrouplist(entry.pw_name, gid) if entry else os.getgroups()
        os.setgroups(sorted({*member_of, *map(_gid, groups)}))
        os.setgid(gid)
    if keep:
        _prctl(PR_SET_KEEPCAPS, 1)
    if entry and entry.pw_uid != os.geteuid():
        os.setuid(entry.pw_uid)


def bound(capabilities: tuple[int, ...] | None) -> None:
    """Remove every other capability from the bounding set. No exec will ever give it back."""
    if capabilities is None:
        return
    with open("/proc/sys/kernel/cap_last_cap") as file:
        last = int(file.read())
    beyond = [number for number in capabilities if number > last]
    if beyond:
        raise StepError("this kernel does not have all of them")
    for number in range(last + 1):
        if number not in capabilities:
            _prctl(PR_CAPBSET_DROP, number)


def set_capabilities(capabilities: tuple[int, ...] | None) -> None:
    """Put exactly these into every set: permitted, effective and inheritable for us, ambient for what we execute."""
    if capabilities is None:
        return
    _prctl(PR_SET_KEEPCAPS, 0)
    mask = sum(1 << number for number in capabilities)
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    if _libc.capset(header, (ctypes.c_uint32 * 6)(low, low, low, high, high, high)):
        raise OSError(
            ctypes.get_errno(), f"{os.strerror(ctypes.get_errno())}; the supervisor itself lacks some of them"
        )
    for number in capabilities:
        _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number)


def _gid(name: str) -> int:
    import grp  # noqa: PLC0415 - a look-up may load modules and ask the network

    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise StepError(f"no group {name!r}") from None


def _prctl(option: int, first: int, second: int = 0) -> None:
    if _libc.prctl(option, ctypes.c_ulong(first), ctypes.c_ulong(second), 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
