"""What runs inside of the VM: the shipped unit under the VM's systemd.

Its tasks go beyond their limits, and the kernel has to enforce them. Somebody also sets the clock, and a freeze must
end when it should. No other machine gets its clock set.

Prints one line per fact, "ok NAME" or "FAILED NAME: what was found", and at last "done".
"""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

FILE = Path("/etc/supervisor/supervisor.toml")
SUPCTL = "/opt/supervisor/bin/supctl"
SERVICE = Path("/sys/fs/cgroup/system.slice/supervisor.service")
LOGS = Path("/var/log/supervisor")
PATIENCE = 300
"""Seconds. What is emulated is slow, and a run above nine tenths of its memory is made slower still."""

EAT = "x = bytearray(400 << 20)"
FORK = "import os, time\nn = 0\ntry:\n  while n < 100:\n"
FORK += "    if os.fork() == 0: os.setsid(); os.setuid(1000 + n); time.sleep(1000)\n    n += 1\n"
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
environment = {{ CHILDREN = "8" }}
limits = {{ io_weight = 5000 }}
[task.light]
command = ["python3", "-c", {json.dumps(READ)}]
environment = {{ CHILDREN = "8" }}
limits = {{ io_weight = 20 }}
[task.idle]
command = ["sleep", "1000"]
"""


def main() -> None:
    """As root."""
    FILE.write_text(CONFIG)
    print(flush=True)  # the console is cleared first, in the middle of a line
    look_at_the_check()
    run("systemctl", "start", "supervisor")
    try:
        look()
    finally:
        run("systemctl", "stop", "supervisor")
        print(run("journalctl", "--no-pager", "-o", "cat", "-u", "supervisor"))
    fact("nothing is left", SERVICE.exists(), False)
    print("done", flush=True)


def look() -> None:
    """Every limit, from outside."""
    fact("the supervisor is in a leaf", cgroup_of(main_pid()), SERVICE / "supervisor")
    fact("memory within its limit", ended("within")["reason"], "exit 0")
    text = until((LOGS / "processes.log").read_text)
    fact("processes", text, "9 Resource temporarily unavailable\n")
    directory = cgroup("cpu")
    began, spent = time.monotonic(), used(directory)
    time.sleep(10)
    share = (used(directory) - spent) / (time.monotonic() - began)
    fact("cpu", 0.1 <= share <= 0.25, True, share)
    fact("cpu weight", (directory / "cpu.weight").read_text(), "50\n")
    look_at_the_disk()
    run(SUPCTL, "freeze", "idle", "--for", "2h")
    run("date", "-s", "+3 hours")
    fact("a freeze ends at the time that was told", until(lambda: not frozen()), True)
    fact("memory", ended("memory")["reason"], "killed by SIGKILL: memory limit 40M")
    look_at_groups()
    look_at_a_crash()
    look_at_the_clock()


def look_at_the_check() -> None:
    """A share of a disk that no disk gives is an error, until one does."""
    done = subprocess.run([SUPCTL, "check"], capture_output=True, text=True, check=False)
    fact("a share that no disk gives", done.stderr.count("io_weight: no disk of this machine"), 2, done.stderr)
    run("modprobe", "bfq")
    Path("/sys/block", Path(SLOW).name, "queue/scheduler").write_text("bfq")
    done = subprocess.run([SUPCTL, "check"], capture_output=True, text=True, check=False)
    fact("a share that a disk gives", (done.returncode, done.stderr), (0, ""))


def look_at_the_disk() -> None:
    """Nine readers of little weight do not get what as many of much weight want: there are always some that wait."""
    heavy, light = cgroup("heavy"), cgroup("light")
    began = read(heavy), read(light)
    time.sleep(20)
    more, less = read(heavy) - began[0], read(light) - began[1]
    fact("io weight", more > 2 * less, True, f"{more} {less}")
    for name in ("heavy", "light"):
        run(SUPCTL, "stop", name)


def read(directory: Path) -> int:
    """Bytes."""
    words = (directory / "io.stat").read_text().split()
    return sum(int(word.removeprefix("rbytes=")) for word in words if word.startswith("rbytes="))


def look_at_groups() -> None:
    """What several tasks may use together."""
    reasons = until(lambda: [one["reason"] for name in ("one", "two") if (one := status(name)["last_exit"])])
    fact("memory of a group", reasons, ["killed by SIGKILL: memory limit 60M of @pair"])
    text = until((LOGS / "spin-fork.log").read_text)
    fact("processes of a group", text, "9 Resource temporarily unavailable\n")
    directory = cgroup("spin-1").parent
    began, spent = time.monotonic(), used(directory)
    time.sleep(10)
    share = (used(directory) - spent) / (time.monotonic() - began)
    fact("cpu of a group", 0.15 <= share <= 0.35, True, share)


def look_at_a_crash() -> None:
    """systemd starts the next supervisor beside runs that have controllers; those go on, and a new one gets its own."""
    before, main = {name: status(name)["pid"] for name in ("spin-1", "cpu", "idle")}, main_pid()
    os.kill(main, signal.SIGKILL)
    until(lambda: main_pid() not in (0, main) and status("idle"))
    fact("a crash ends nobody", {name: status(name)["pid"] for name in before}, before)
    fact("the next one is in the leaf again", cgroup_of(main_pid()), SERVICE / "supervisor")
    fact("what lives is limited as before", (cgroup("cpu") / "cpu.max").read_text(), "20000 100000\n")
    run(SUPCTL, "restart", "cpu")
    fact("and so is what is started now", (cgroup("cpu") / "cpu.max").read_text(), "20000 100000\n")


def look_at_the_clock() -> None:
    """It jumps; nobody is restarted by that, and what waits does so for as long as it would have."""
    before = {name: status(name)["pid"] for name in ("spin-1", "idle")}
    for jump in (86400, -3 * 86400, 86400):
        began, count = time.monotonic(), status("again")["restarts"]
        time.clock_settime(time.CLOCK_REALTIME, time.time() + jump)
        until(lambda count=count: status("again")["restarts"] >= count + 2)
        waited = time.monotonic() - began
        fact(f"a restart after the clock jumped by {jump} s", 5 <= waited <= 60, True, waited)
    fact("running tasks go on", {name: status(name)["pid"] for name in before}, before)


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


def run(*words: str) -> str:
    """What a command says that must succeed."""
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout


def main_pid() -> int:
    return int(run("systemctl", "show", "--value", "-p", "MainPID", "supervisor"))


def answer(*words: str) -> dict:
    done = subprocess.run([SUPCTL, "status", *words, "--json"], capture_output=True, text=True, check=False)
    return json.loads(done.stdout)


def status(name: str) -> dict:
    return answer(name)["tasks"][0]


def frozen() -> list:
    return answer()["supervisor"]["frozen"]


def ended(name: str) -> dict:
    return until(lambda: status(name)["last_exit"])


def cgroup(name: str) -> Path:
    return cgroup_of(until(lambda: status(name)["pid"]))


def cgroup_of(pid: int) -> Path:
    return Path("/sys/fs/cgroup" + Path(f"/proc/{pid}/cgroup").read_text().strip()[3:])


def used(directory: Path) -> float:
    return int((directory / "cpu.stat").read_text().split()[1]) / 1e6


main()
