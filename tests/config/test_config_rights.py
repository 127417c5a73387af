"""The log of a task with a user is opened with his rights: who may not write there is told so, before it is lost."""

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
def test_who_could_not_write(tmp_path: Path, line: str) -> None:
    what, mode, owner, warned = line.split()
    folder = tmp_path / "log"
    folder.mkdir()
    path = folder / ("missing/deep/web.log" if "/" in what else "web.log")
    place = path if what == "file" else folder
    if what == "file":
        path.touch()
    place.chmod(int(mode, 8))
    os.chown(place, NOBODY.pw_uid if owner == "nobody" else 0, NOBODY.pw_gid if owner == "group" else 0)
    config = tmp_path / "c.toml"
    text = f'[supervisor]\n[task.web]\ncommand = "true"\nuser = "nobody"\nlog = {{ to = "{path}" }}\n'
    config.write_text(text)
    hurdle = f'"{path}" is opened as "nobody", who may not write there: "{place}" has mode {mode}'
    said = f'{config}:5: task "web": log: {hurdle}; what the task says would be lost'
    assert load(str(config)).warnings == ((said,) if warned == "yes" else ())
    config.write_text(text.replace('user = "nobody"', 'user = "root"'))
    assert load(str(config)).warnings == ()
    config.write_text(text.replace(f'"{path}"', '"file"'))
    assert load(str(config)).warnings == (), "in log_dir the supervisor writes as itself"
