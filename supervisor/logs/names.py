"""Names: of the FIFOs of a run, of the files of an instance, of what a file is rotated to. Pure.

A run has its own FIFOs ("web:2.7@k3f9q1.err"), so what it says can be told from what the next one says, and the
kernel tells when nobody can say anything more.
"""

from __future__ import annotations

import os
import re

OUT, ERR = "out", "err"


def fifo_name(run: str, stream: str) -> str:
    """The FIFO of a stream of a run: "web:2/7@k3f9q1" has "web:2.7@k3f9q1.out"."""
    return f"{run.replace('/', '.')}.{stream}"


def run_of(fifo: str) -> tuple[str, str] | None:
    """Run and stream of a FIFO's name; None for another name."""
    base, _, stream = fifo.rpartition(".")
    key, _, number = base.rpartition(".")
    if stream not in (OUT, ERR) or not key or "@" not in number:
        return None
    return f"{key}/{number}", stream


def number_of(run: str) -> int:
    """The number of a run in its id."""
    number = run.rpartition("/")[2].partition("@")[0]
    return int(number) if number.isdecimal() else 0


def files(key: str, to: str, stderr: str, log_dir: str) -> dict[str, str]:
    """The file of each stream of an instance; nothing for one that is no file."""
    if to in ("none", "inherit", "journal"):
        return {}
    task, _, index = key.rpartition(":")
    name = task if index == "1" else key
    out = f"{log_dir}/{name}.log" if to == "file" else to
    found = {OUT: out}
    if stderr != "none":
        root, extension = os.path.splitext(out)
        found[ERR] = out if stderr == "merged" else f"{root}.err{extension}"
    return found


def rotated(path: str) -> dict[int, str]:
    """What a file was rotated to, by number, 1 the newest; of NAME.3 and NAME.3.gz the first is the complete one."""
    folder, name = os.path.split(path)
    pattern = re.compile(re.escape(name) + r"\.(\d+)(\.gz)?")
    found: dict[int, str] = {}
    try:
        names = sorted(os.listdir(folder or "."), key=len, reverse=True)
    except OSError:
        return {}
    for one in names:
        match = pattern.fullmatch(one)
        if match and match[1] == str(int(match[1])) != "0":
            found[int(match[1])] = os.path.join(folder, one)
    return found
