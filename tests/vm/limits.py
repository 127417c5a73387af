"""What runs inside of the VM: a supervisor whose tasks go beyond their limits, and what the kernel makes of that; and
what becomes of a freeze when somebody sets the clock, which no other machine is asked to bear.

Prints one line per fact, "ok NAME" or "FAILED NAME: what was found", and at last "done".
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PLACE = Path("/tmp/vm")
SUPERVISOR = [sys.executable, "-m", "supervisor", "-c", str(PLACE / "c.toml")]
SUPCTL = [sys.executable, "-c", "from supervisor.cli.main import main; main()"]
PATIENCE = 300
"""Seconds. What is emulated is slow, and a run above nine tenths of its memory is made slower still."""

EAT = "x = bytearray(400 << 20)"
FORK = "import os, time\nn = 0\ntry:\n  while n < 100:\n    if os.fork() == 0: time.sleep(1000)\n    n += 1\n"
FORK += "except OSError as error: print(n, error.strerror, flush=True)\ntime.sleep(1000)"
SPIN = "while True: pass"
PART = "import time; x = bytearray(45 << 20); time.sleep(1000)"
"""There is room for one of these in their group, not for two."""

SLOW = "/dev/vdb"
READ = f"""import mmap, os, random
for child in range(int(os.environ['CHILDREN'])):
  if os.fork() == 0: os.setsid(); break
disk, page = os.open('{SLOW}', os.O_RDONLY | os.O_DIRECT), mmap.mmap(-1, 4096)
while True: os.preadv(disk, [page], random.randrange(60000) * 4096)"""
"""Reads all the time, as so many processes as it likes to be."""

CONFIG = f"""
[supervisor]
runtime_dir = "{PLACE}/run"
state_dir = "{PLACE}/state"
log_dir = "{PLACE}/log"
[defaults]
restart = "never"
log = {{ format = "raw" }}
[task.memory]
command = ["python3", "-c", "import subprocess; subprocess.run(['python3', '-c', '{EAT}'])"]
limits = {{ memory = "40M" }}
[task.within]
command = ["python3", "-c", "x = bytearray(30 << 20)"]
limits = {{ memory = "64M" }}
[task.processes]
command = ["python3", "-c", {json.dumps(FORK)}]
limits = {{ processes = 10 }}
[task.cpu]
command = ["python3", "-c", "{SPIN}"]
limits = {{ cpu = 0.2, cpu_weight = 50 }}
[group.pair]
tasks = ["one", "two"]
limits = {{ memory = "60M" }}
[task.one]
command = ["python3", "-c", {json.dumps(PART)}]
[task.two]
command = ["python3", "-c", {json.dumps(PART)}]
[group.spinners]
tasks = ["spin-*"]
limits = {{ cpu = 0.3, processes = 12 }}
[task.spin-1]
command = ["python3", "-c", "{SPIN}"]
[task.spin-2]
command = ["python3", "-c", "{SPIN}"]
[task.spin-fork]
command = ["python3", "-c", {json.dumps(FORK)}]
[task.again]
command = ["false"]
restart = "always"
backoff = {{ initial = "5s", factor = 1, jitter = 0 }}
[task.heavy]
command = ["python3", "-c", {json.dumps(READ)}]
environment = {{ CHILDREN = "3" }}
limits = {{ io_weight = 5000 }}
[task.light]
command = ["python3", "-c", {json.dumps(READ)}]
environment = {{ CHILDREN = "8" }}
limits = {{ io_weight = 20 }}
[task.idle]
command = ["sleep", "1000"]
"""


def main() -> None:
    """As root, in a cgroup that is the supervisor's own beside the tree, as DelegateSubgroup= would have put it."""
    base = Path("/sys/fs/cgroup" + Path("/proc/self/cgroup").read_text().strip()[3:])
    os.setxattr(base, "user.delegate", b"1")
    (base / "supervisor").mkdir(exist_ok=True)
    (base / "supervisor" / "cgroup.procs").write_text(str(os.getpid()))
    PLACE.mkdir(exist_ok=True)
    (PLACE / "c.toml").write_text(CONFIG)
    print(flush=True)  # the console is cleared first, in the middle of a line
    look_at_the_check()
    with (PLACE / "out").open("w") as out:
        process = subprocess.Popen(SUPERVISOR, stdout=out, stderr=out)
    try:
        look()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        print((PLACE / "out").read_text())
    fact("nothing is left", [path.name for path in base.glob("supervisor-*")], [])
    print("done", flush=True)


def look() -> None:
    """Every limit, from outside."""
    fact("memory within its limit", ended("within")["reason"], "exit 0")
    text = until((PLACE / "log" / "processes.log").read_text)
    fact("processes", text, "9 Resource temporarily unavailable\n")
    directory = cgroup("cpu")
    began, spent = time.monotonic(), used(directory)
    time.sleep(10)
    share = (used(directory) - spent) / (time.monotonic() - began)
    fact("cpu", 0.1 <= share <= 0.25, True, share)
    fact("cpu weight", (directory / "cpu.weight").read_text(), "50\n")
    look_at_the_disk()
    subprocess.run([*SUPCTL, "--socket", f"{PLACE}/run/supervisor.sock", "freeze", "idle", "--for", "2h"], check=True)
    subprocess.run(["date", "-s", "+3 hours"], check=True, stdout=subprocess.DEVNULL)
    fact("a freeze ends at the time that was told", until(lambda: not frozen()), True)
    fact("memory", ended("memory")["reason"], "killed by SIGKILL: memory limit 40M")
    look_at_groups()
    look_at_the_clock()


def look_at_the_check() -> None:
    """A share of a disk that no disk gives is an error, until one does."""
    done = subprocess.run([*SUPERVISOR, "--check"], capture_output=True, text=True, check=False)
    fact("a share that no disk gives", done.stderr.count("io_weight: no disk of this machine"), 2, done.stderr)
    subprocess.run(["modprobe", "bfq"], check=True)
    Path("/sys/block", Path(SLOW).name, "queue/scheduler").write_text("bfq")
    done = subprocess.run([*SUPERVISOR, "--check"], capture_output=True, text=True, check=False)
    fact("a share that a disk gives", done.returncode, 0, done.stderr)


def look_at_the_disk() -> None:
    """Nine readers of little weight do not get what four of much weight want."""
    heavy, light = cgroup("heavy"), cgroup("light")
    began = read(heavy), read(light)
    time.sleep(20)
    more, less = read(heavy) - began[0], read(light) - began[1]
    fact("io weight", more > 2 * less, True, f"{more} {less}")
    for name in ("heavy", "light"):
        subprocess.run([*SUPCTL, "--socket", f"{PLACE}/run/supervisor.sock", "stop", name], check=True)


def read(directory: Path) -> int:
    """Bytes."""
    words = (directory / "io.stat").read_text().split()
    return sum(int(word.removeprefix("rbytes=")) for word in words if word.startswith("rbytes="))


def look_at_groups() -> None:
    """What several tasks may use together."""
    reasons = until(lambda: [one["reason"] for name in ("one", "two") if (one := status(name)["last_exit"])])
    fact("memory of a group", reasons, ["killed by SIGKILL: memory limit 60M of @pair"])
    text = until((PLACE / "log" / "spin-fork.log").read_text)
    fact("processes of a group", text, "9 Resource temporarily unavailable\n")
    directory = cgroup("spin-1").parent
    began, spent = time.monotonic(), used(directory)
    time.sleep(10)
    share = (used(directory) - spent) / (time.monotonic() - began)
    fact("cpu of a group", 0.15 <= share <= 0.35, True, share)


def look_at_the_clock() -> None:
    """It jumps; nobody is restarted by that, and what waits does so for as long as it would have."""
    before = {name: status(name)["pid"] for name in ("spin-1", "idle")}
    for jump in (86400, -3 * 86400, 86400):
        began, count = time.monotonic(), status("again")["restarts"]
        time.clock_settime(time.CLOCK_REALTIME, time.time() + jump)
        until(lambda count=count: status("again")["restarts"] >= count + 2)
        waited = time.monotonic() - began
        fact(f"a restart after the clock jumped by {jump} s", 5 <= waited <= 60, True, waited)
    fact("what runs goes on", {name: status(name)["pid"] for name in before}, before)


def fact(name: str, found: object, expected: object, shown: object = "") -> None:
    print(f"ok {name} {shown}" if found == expected else f"FAILED {name}: {found!r} {shown}", flush=True)


def until(fact_of_the_world):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if found := fact_of_the_world():
                return found
        except (OSError, LookupError, ValueError):
            pass
        time.sleep(0.2)
    raise TimeoutError


def status(name: str) -> dict:
    words = [*SUPCTL, "--socket", f"{PLACE}/run/supervisor.sock", "status", name, "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return json.loads(done.stdout)["tasks"][0]


def frozen() -> list:
    words = [*SUPCTL, "--socket", f"{PLACE}/run/supervisor.sock", "status", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return json.loads(done.stdout)["supervisor"]["frozen"]


def ended(name: str) -> dict:
    return until(lambda: status(name)["last_exit"])


def cgroup(name: str) -> Path:
    pid = until(lambda: status(name)["pid"])
    return Path("/sys/fs/cgroup" + Path(f"/proc/{pid}/cgroup").read_text().strip()[3:])


def used(directory: Path) -> float:
    return int((directory / "cpu.stat").read_text().split()[1]) / 1e6


main()
