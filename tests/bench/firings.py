#!/usr/bin/env python3
"""Measure how punctual schedules are, and what they cost, beside other schedulers.  See README.md."""
from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import proc

HERE = Path(__file__).parent

APSCHEDULER = """
import subprocess, sys
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.blocking import BlockingScheduler
period, count, program, file = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
scheduler = BlockingScheduler(executors={"default": ThreadPoolExecutor(200)}, timezone="UTC")
for number in range(count):
    when = {"second": "*"} if period == 1 else {"second": 0}
    scheduler.add_job(subprocess.call, "cron", [[program, f"t{number}", file]], misfire_grace_time=60, **when)
scheduler.start()
"""


@dataclass
class Case:
    """One measurement: so many schedules, each due every `period` seconds, beside so many idle tasks."""

    name: str
    count: int
    period: int  # seconds: 1, 60, or 0 for schedules that are not due at all
    idle: int
    seconds: float


CASES = (
    Case("one a second, 500 idle tasks", 1, 1, 500, 60),
    Case("100 a second, 500 idle tasks", 100, 1, 500, 30),
    Case("1,000 a minute", 1000, 60, 0, 130),
    Case("10,000, none is due", 10000, 0, 0, 60),
)


class Supctl:
    """This project, from HOME/venv-supctl."""

    name = "supctl"

    def __init__(self, home: Path, folder: Path, run: Path):
        self.program, self.folder, self.run = home / "venv-supctl/bin/supervisor", folder, run

    def can(self, case: Case) -> bool:
        return self.program.exists()

    def command(self, case: Case, program: Path, file: Path) -> list[str]:
        when = {0: "0 0 29 2 *", 1: "* * * * * *", 60: "* * * * *"}[case.period]
        text = f"""[supervisor]
runtime_dir = "{self.run}/run"
state_dir = "{self.folder}/state"
log_dir = "{self.folder}/log"
[defaults]
log = {{ to = "none" }}
"""
        for number in range(case.count):
            words = json.dumps([str(program), f"t{number}", str(file)])
            text += f'[task.t{number}]\ncommand = {words}\nschedule = "{when}"\ntimezone = "UTC"\n'
        for number in range(case.idle):
            text += f'[task.idle{number}]\ncommand = ["sleep", "100000"]\n'
        (self.folder / "c.toml").write_text(text)
        return [str(self.program), "-c", str(self.folder / "c.toml")]


class Apscheduler:
    """APScheduler 3 from HOME/venv-apscheduler: a thread for each run, nothing on disk."""

    name = "apscheduler"

    def __init__(self, home: Path, folder: Path, run: Path):
        self.python, self.folder = home / "venv-apscheduler/bin/python", folder

    def can(self, case: Case) -> bool:
        return self.python.exists() and case.period > 0

    def command(self, case: Case, program: Path, file: Path) -> list[str]:
        words = [str(case.period), str(case.count), str(program), str(file)]
        return [str(self.python), "-c", APSCHEDULER, *words]


class Cron:
    """Debian's cron, with one line in /etc/cron.d for each schedule; it needs root, and knows no seconds."""

    name = "cron"
    table = Path("/etc/cron.d/supctl-bench")

    def __init__(self, home: Path, folder: Path, run: Path):
        self.program = shutil.which("cron")

    def can(self, case: Case) -> bool:
        return bool(self.program) and case.period == 60 and os.getuid() == 0

    def command(self, case: Case, program: Path, file: Path) -> list[str]:
        lines = (f"* * * * * root {program} t{number} {file}\n" for number in range(case.count))
        self.table.write_text("".join(lines))
        return [str(self.program), "-f"]


PEERS = (Supctl, Apscheduler, Cron)


def fsync_median(folder: Path) -> float:
    """Median of 50 fsyncs of a small append, in ms: what a firing has to wait for."""
    times = []
    with open(folder / "fsync", "ab") as file:
        for _ in range(50):
            file.write(b"x" * 4096)
            file.flush()
            began = time.monotonic()
            os.fsync(file.fileno())
            times.append((time.monotonic() - began) * 1000)
    return statistics.median(times)


def errors(file: Path, period: int, since: float, until: float) -> list[float]:
    """Seconds from when each run was due to the first instruction of its program, of the runs in this time."""
    found = []
    for line in file.read_text().splitlines() if file.exists() else ():
        moment = int(line.split()[1]) / 1e9
        if since <= moment <= until:
            found.append((moment + period / 2) % period - period / 2)
    return sorted(found)


def measure(peer, case: Case, program: Path, folder: Path) -> dict[str, float | str]:
    """Run one case under one peer."""
    file = folder / "fired"
    began = subprocess.Popen(
        peer.command(case, program, file), cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=open(folder / "err", "ab"), start_new_session=True)
    try:
        time.sleep(10 + case.idle / 50 + case.count / 250)  # it is up
        if case.period == 60:
            time.sleep(60 - time.time() % 60 - 5 if time.time() % 60 < 50 else 65 - time.time() % 60)
        names = {b"ftask", b"sleep"}
        pids = {pid for pid in proc.descendants([os.getpid()]) if _name(pid) not in names}
        used, woken, since = proc.cpu(pids) + proc.cpu_of_reaped(pids), proc.wakeups(pids), time.time()
        time.sleep(case.seconds)
        until = time.time()
        result = {
            "cpu_ms_per_min": (proc.cpu(pids) + proc.cpu_of_reaped(pids) - used) * 1000 * 60 / case.seconds,
            "wakeups_per_min": (proc.wakeups(pids) - woken) * 60 / case.seconds,
            "pss_mib": proc.memory(pids)[0],
        }
        if case.period:
            late = errors(file, case.period, since, until)
            expected = case.count * case.seconds / case.period
            result |= {"runs": len(late), "expected": expected}
            if late:
                result |= {"median_ms": statistics.median(late) * 1000, "worst_ms": late[-1] * 1000}
                result |= {"early_ms": min(0.0, late[0]) * 1000}
        return result
    finally:
        began.send_signal(signal.SIGTERM)
        try:
            began.wait(60)
        except subprocess.TimeoutExpired:
            pass
        proc.kill_tree(os.getpid(), {began.pid})
        Cron.table.unlink(missing_ok=True) if isinstance(peer, Cron) else None


def _name(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/comm").read_bytes().strip()
    except OSError:
        return b""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", required=True, help="where setup.sh has installed the peers")
    parser.add_argument("--run", default="/dev/shm", help="a tmpfs for what is in /run in production (%(default)s)")
    parser.add_argument("--peers", default="", help="names, with commas; default: all that are installed")
    parser.add_argument("--cases", default="", help="numbers from 1, with commas; default: all")
    args = parser.parse_args()
    proc.become_subreaper()
    home = Path(args.home).resolve()
    program = home / "ftask"
    subprocess.run(["cc", "-O2", "-Wall", "-o", str(program), str(HERE / "ftask.c")], check=True)
    cases = [CASES[int(one) - 1] for one in args.cases.split(",") if one] or list(CASES)
    wanted = args.peers.split(",") if args.peers else [one.name for one in PEERS]
    print("| schedules | peer | " + " | ".join(COLUMNS.values()) + " |")
    print("|---" * (2 + len(COLUMNS)) + "|")
    for case in cases:
        for kind in PEERS:
            folder, run = Path(tempfile.mkdtemp(prefix="fire-")), Path(tempfile.mkdtemp(prefix="fire-", dir=args.run))
            try:
                peer = kind(home, folder, run)
                if kind.name not in wanted or not peer.can(case):
                    continue
                print(f"{case.name}: {kind.name} …", file=sys.stderr)
                fsync = fsync_median(folder)
                found = measure(peer, case, program, folder)
                cells = [f"{found[key]:.1f}" if key in found else "" for key in COLUMNS]
                print(f"| {case.name} | {kind.name} | " + " | ".join(cells) + f" | (fsync {fsync:.2f} ms)", flush=True)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
                shutil.rmtree(run, ignore_errors=True)


COLUMNS = {
    "runs": "runs", "expected": "expected", "median_ms": "error, median [ms]", "worst_ms": "worst [ms]",
    "early_ms": "earliest [ms]", "cpu_ms_per_min": "CPU per minute [ms]", "wakeups_per_min": "wake-ups per minute",
    "pss_mib": "PSS [MiB]",
}  # fmt: skip


if __name__ == "__main__":
    main()
