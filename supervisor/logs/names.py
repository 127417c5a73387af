"""Names of a run's FIFOs, of an instance's log files, and of rotated files. Pure.

Each run has its own FIFOs ("web:2.7@k3f9q1.err"). So its output does not mix with that of the next run. The kernel also
reports when the last writer has gone.
"""

from __future__ import annotations

import os
import re

OUT, ERR = "out", "err"


def fifo_name(run: str, stream: str) -> str:
    """Return the FIFO of a stream of a run: "web:2/7@k3f9q1" has "web:2.7@k3f9q1.out"."""
    return f"{run.replace('/', '.')}.{stream}"


def run_of(fifo: str) -> tuple[str, str] | None:
    """Return run and stream of a FIFO's name; None for any other name."""
    base, _, stream = fifo.rpartition(".")
    key, _, number = base.rpartition(".")
    if stream not in (OUT, ERR) or not key or "@" not in number:
        return None
    return f"{key}/{number}", stream


def number_of(run: str) -> int:
    """Return the number of a run, from its id."""
    number = run.rpartition("/")[2].partition("@")[0]
    return int(number) if number.isdecimal() else 0


def files(key: str, to: str, stderr: str, log_dir: str) -> dict[str, str]:
    """Return the file of each stream of an instance. A stream that does not go to a file has no entry."""
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
    """Return the rotated files by number; 1 is the newest. Of NAME.3 and NAME.3.gz take the complete one, NAME.3."""
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
