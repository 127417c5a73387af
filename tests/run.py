#!/usr/bin/env python3
"""The test suite, in one command and on nothing but Python: makes a virtual environment, installs, runs pytest.

    python3 tests/run.py [--venv DIR] [--fast] [pytest's own arguments]

The environment is `.venv` in the checkout unless DIR says another one; it is made once, and brought up to date
whenever pyproject.toml changes. The project is installed so that the tests test this checkout. Signals that the caller
ignores (`nohup`, `&` in a script) are put right by `conftest.py`. `--fast` runs in less than a minute: everything but
the tests that start supervisors, kill them, flood them or need a systemd.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)

SLOW = {"bench", "vm", "e2e", "systemd", "kill", "logs", "soak", "contract", "runs"}
SLOW_FILES = ("tests/store/test_store_fallback.py", "tests/conf/test_conf_demo.py")
FAST_SEEDS = "20"
FAST_SCHEDULES = "200"


def main():
    """Ends with the exit code of pytest."""
    if sys.version_info < OLDEST:
        sys.exit("needs Python 3.11 or newer, this is {}.{}".format(*sys.version_info[:2]))
    arguments = sys.argv[1:]
    place = PROJECT / ".venv"
    if arguments[:1] == ["--venv"]:
        place = Path(arguments[1]).resolve()
        arguments = arguments[2:]
    if arguments[:1] == ["--fast"]:
        arguments = ["--quiet", *(f"--ignore={path}" for path in SLOW_FILES), *fast(), *arguments[1:]]
        os.environ.setdefault("SIMULATION_SEEDS", FAST_SEEDS)
        os.environ.setdefault("SCHEDULES", FAST_SCHEDULES)
    python = environment(place)
    os.chdir(PROJECT)
    os.execv(python, [str(python), "-m", "pytest", *arguments])


def fast():
    """The folders and files of tests that are not slow; a new one is one of them."""
    tests = PROJECT / "tests"
    parts = {path.relative_to(tests).parts[0] for path in tests.glob("**/test_*.py")}
    return [f"tests/{part}" for part in sorted(parts - SLOW)]


def environment(place):
    """The interpreter of an environment that has everything in it."""
    python = place / "bin" / "python"
    installed = place / "installed-for"
    wanted = hashlib.sha256((PROJECT / "pyproject.toml").read_bytes() + str(PROJECT).encode()).hexdigest()
    if not (place / "bin" / "pip").exists():
        run([sys.executable, "-m", "venv", str(place)])
    if not installed.exists() or installed.read_text() != wanted:
        quiet = ["--quiet", "--disable-pip-version-check"]
        run([str(python), "-m", "pip", "install", *quiet, "--editable", f"{PROJECT}[test]"])
        installed.write_text(wanted)
    return python


def run(words):
    """A step that everything after it needs."""
    if subprocess.run(words, stdin=subprocess.DEVNULL, check=False).returncode:
        sys.exit(f"this failed: {' '.join(words)}")


if __name__ == "__main__":
    main()
