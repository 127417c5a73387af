#!/usr/bin/env python3
"""The test suite, in one command and on nothing but Python: makes a virtual environment, installs, runs pytest.

    python3 tests/run.py [--venv DIR] [pytest's own arguments]

The environment is `.venv` in the checkout unless DIR says another one; it is made once, and brought up to date
whenever pyproject.toml changes. The project is installed so that the tests test this checkout.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)


def main():
    """Ends with the exit code of pytest."""
    if sys.version_info < OLDEST:
        sys.exit("needs Python 3.11 or newer, this is {}.{}".format(*sys.version_info[:2]))
    arguments = sys.argv[1:]
    place = PROJECT / ".venv"
    if arguments[:1] == ["--venv"]:
        place = Path(arguments[1]).resolve()
        arguments = arguments[2:]
    python = environment(place)
    os.chdir(PROJECT)
    os.execv(python, [str(python), "-m", "pytest", *arguments])


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
