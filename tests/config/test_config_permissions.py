"""The paths of a task are checked with the rights of its user, so that missing access is reported before a start."""

import grp
import os
import pwd
from pathlib import Path

import pytest

from supervisor.config import load

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")

NOBODY = pwd.getpwnam("nobody")

TABLE = """
what             mode  owner   warned
file             0644  root    yes
file             0666  root    no
file             0600  nobody  no
file             0664  group   no
file             0604  group   yes
folder           0755  root    yes
folder           0777  root    no
folder           0666  root    yes
folder           0700  nobody  no
missing/deep     0755  root    yes
missing/deep     0700  nobody  no
"""


@pytest.mark.parametrize("line", TABLE.strip().splitlines()[1:])
def test_a_user_without_write_access(open_place: Path, line: str) -> None:
    what, mode, owner, warned = line.split()
    folder = open_place / "log"
    folder.mkdir()
    path = folder / ("missing/deep/web.log" if "/" in what else "web.log")
    place = path if what == "file" else folder
    if what == "file":
        path.touch()
    place.chmod(int(mode, 8))
    os.chown(place, NOBODY.pw_uid if owner == "nobody" else 0, NOBODY.pw_gid if owner == "group" else 0)
    config = open_place / "c.toml"
    text = f'[supervisor]\n[task.web]\ncommand = "true"\nuser = "nobody"\nlog = {{ to = "{path}" }}\n'
    config.write_text(text)
    hurdle = f'"{path}" is opened as "nobody", who may not write there: "{place}" has mode {mode}'
    said = f'{config}:5: task "web": log: {hurdle}; the output of the task would be lost'
    assert load(str(config)).warnings == ((said,) if warned == "yes" else ())
    config.write_text(text.replace('user = "nobody"', 'user = "root"'))
    assert load(str(config)).warnings == ()
    config.write_text(text.replace(f'"{path}"', '"file"'))
    assert load(str(config)).warnings == (), "in log_dir the supervisor writes as itself"


def warnings(place: Path, lines: str) -> list[str]:
    (place / "c.toml").write_text(f"[task.web]\n{lines}")
    return [text.replace(str(place), "DIR") for text in load(str(place / "c.toml")).warnings]


USER = 'user = "nobody"'
CLOSED = '"DIR/closed" has mode 0700'


@pytest.mark.parametrize(
    ("lines", "warned"),
    [
        (f'command = "./closed/run"\ndirectory = "."\n{USER}', f'2: command: "DIR/closed/run": {CLOSED}'),
        (f'command = ["closed/deep/run"]\ndirectory = "."\n{USER}', f'2: command: "DIR/closed/deep/run": {CLOSED}'),
        (f'command = "./link"\ndirectory = "."\n{USER}', f'2: command: "DIR/link": {CLOSED}'),
        (f'command = "./closed/out"\ndirectory = "."\n{USER}', f'2: command: "DIR/closed/out": {CLOSED}'),
        (f'command = "./own"\ndirectory = "."\n{USER}', '2: command: "DIR/own": "DIR/own" has mode 0700'),
        (f'command = "true"\ndirectory = "closed"\n{USER}', f'3: directory: "DIR/closed": {CLOSED}'),
        (f'command = "./run"\ndirectory = "closed/deep"\n{USER}', f'3: directory: "DIR/closed/deep": {CLOSED}'),
        (f'command = "true"\ndirectory = "root"\n{USER}', ""),
        (f'command = "./group"\ndirectory = "."\n{USER}', '2: command: "DIR/group": "DIR/group" has mode 0710'),
        (f'command = "./group"\ndirectory = "."\n{USER}\ngroup = "daemon"', ""),
        (f'command = "./group"\ndirectory = "."\n{USER}\ngroups = ["daemon"]', ""),
        (f'command = "true"\ndirectory = "closed"\n{USER}\ncapabilities = ["DAC_READ_SEARCH"]', ""),
        ('command = "true"\ndirectory = "closed"\nuser = "root"', ""),
        ('command = "true"\ndirectory = "closed"', ""),
    ],
)
def test_a_user_without_access_to_the_program(open_place: Path, lines: str, warned: str) -> None:
    (open_place / "closed/deep").mkdir()
    for name, mode in (("closed/run", 0o755), ("closed/deep/run", 0o755), ("own", 0o700), ("group", 0o710)):
        (open_place / name).write_text("#!/bin/sh\n")
        (open_place / name).chmod(mode)
    os.chown(open_place / "group", 0, grp.getgrnam("daemon").gr_gid)
    (open_place / "link").symlink_to("closed/run")
    (open_place / "closed/out").symlink_to("/bin/sh")
    if not warned:
        assert warnings(open_place, lines) == []
        return
    line, key, path, hurdle = warned.split(": ")
    what = f'{path} is not open to "nobody": {hurdle}; the task could not start'
    assert warnings(open_place, lines) == [f'DIR/c.toml:{line}: task "web": {key}: {what}']


def test_a_log_below_a_directory_without_access(open_place: Path) -> None:
    (open_place / "closed/open").mkdir(mode=0o777)
    (open_place / "closed/open").chmod(0o777)
    (warning,) = warnings(open_place, f'command = "true"\n{USER}\nlog.to = "closed/open/web.log"')
    assert CLOSED in warning
