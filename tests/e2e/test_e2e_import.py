"""A crontab becomes a config, and a supervisor runs its jobs as cron did."""

import os
import pwd

from lab import Lab, wait_for

CRONTAB = r"""
FOO = 'a  b'
MAILTO=root
SHELL=/bin/bash
# What cron would say: where it is, and who.
0 0 1 1 *  printf '\%s|' "$PWD" "$SHELL" "$FOO" "$LOGNAME" '${HOME}' > {dir}/one; cat >> {dir}/one%x%y\%z
@reboot    echo "$FOO" > {dir}/boot && exec -a daemon sleep 1000
@yearly    exit 3
"""


def test_jobs_of_a_crontab_run_as_they_did(lab: Lab) -> None:
    (lab.dir / "tab").write_text(CRONTAB.replace("{dir}", str(lab.dir)))
    page = lab.ctl("import", "crontab", "--strict", str(lab.dir / "tab"))
    lab.start(page.out)
    assert wait_for((lab.dir / "boot").exists)
    wait_for(lambda: (lab.dir / "boot").read_text() == "a  b\n")
    assert set(lab.tasks()) == {"cat", "exit", "daemon"}
    me = pwd.getpwuid(os.geteuid())
    lab.ctl("run", "cat", "--wait")
    assert (lab.dir / "one").read_text() == f"{me.pw_dir}|/bin/bash|a  b|{me.pw_name}|${{HOME}}|x\ny%z\n"
    assert lab.ctl("run", "exit", "--wait", code=None).code == 1
    assert lab.tasks()["daemon"]["state"] == "running"
