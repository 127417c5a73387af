"""`supctl import crontab`: what becomes of each line, and that the page is a config which runs the same commands."""

import contextlib
import io
import os
import pwd
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supervisor import imports
from supervisor.cli.main import run
from supervisor.config import judge
from supervisor.host.output_of import FailedError
from supervisor.imports import crontab, live_crontabs
from supervisor.imports.interface import Imported, Source

ME = pwd.getpwuid(os.geteuid()).pw_name


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No crontab of this machine is used: the live ones are in a directory of the test."""
    live = tmp_path / "live"
    (live / "cron.d").mkdir(parents=True)
    (live / "spool").mkdir()
    monkeypatch.setattr(live_crontabs, "SYSTEM", (f"{live}/crontab", f"{live}/cron.d/*"))
    monkeypatch.setattr(live_crontabs, "OF_USERS", (f"{live}/spool/*",))

    def no_program(*_: object) -> bytes:
        raise FileNotFoundError

    monkeypatch.setattr(live_crontabs, "output_of", no_program)
    monkeypatch.chdir(tmp_path)
    return live


Importing = Callable[..., Imported]


@pytest.fixture
def read(tmp_path: Path) -> Importing:
    """Import a text as a file, and check the page as `supctl check` does."""

    def importing(text: str | bytes, *, user: str = "", system: bool = False) -> Imported:
        path = tmp_path / "tab"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        found = crontab.read(Source(str(path), user, system))
        check(found.text, tmp_path)
        return found

    return importing


def check(page: str, place: Path) -> None:
    path = place / "page.toml"
    path.write_text(page + "\n")
    if not tomllib.loads(page):  # a config needs a table
        return
    verdict = judge(str(path), os.environ)
    assert not verdict.found.errors, "\n".join(map(str, verdict.found.errors))


def tasks(found: Imported) -> dict[str, dict[str, Any]]:
    """The tasks of a page, as TOML has them."""
    return tomllib.loads(found.text).get("task", {})  # type: ignore[no-any-return]


def unwrapped(found: Imported) -> str:
    """The page as one line: a comment may be on several."""
    return " ".join(found.text.replace("\n#", "").split())


def only(found: Imported) -> dict[str, Any]:
    (one,) = tasks(found).values()
    return one


# -- jobs -------------------------------------------------------------------------------------------------------------


def test_a_job_becomes_a_task_with_the_same_command_in_a_shell(read: Importing) -> None:
    found = read("17 3 * * *   /srv/app/backup.sh --all > /dev/null 2>&1\n")
    assert tasks(found) == {
        "backup": {
            "command": ["/bin/sh", "-c", "/srv/app/backup.sh --all > /dev/null 2>&1"],
            "schedule": "17 3 * * *",
            "user": ME,
            "no_new_privileges": False,
            "directory": pwd.getpwnam(ME).pw_dir,
            "environment": {"SHELL": "/bin/sh"},
        }
    }
    assert not found.unknown
    assert not found.warnings


@pytest.mark.parametrize(
    "when",
    ["*/5 * * * *", "0 9-17/2 1,15 * mon-fri", "0 0 * jan,dec sun", "0 0 * * 7", "@daily", "@midnight", "@hourly",
     "@weekly", "@monthly", "@yearly", "@annually"],
)  # fmt: skip
def test_a_time_stays_as_it_is(when: str, read: Importing) -> None:
    assert only(read(f"{when}\ttrue"))["schedule"] == when


def test_a_job_of_the_system_names_its_user(read: Importing) -> None:
    found = read("5 4 * * * root  /usr/bin/x\n@daily nobody y z", system=True)
    assert {name: (one["user"], one["command"][2]) for name, one in tasks(found).items()} == {
        "x": ("root", "/usr/bin/x"),
        "y": ("nobody", "y z"),
    }


def test_a_user_of_a_job_must_exist(read: Importing) -> None:
    found = read("5 4 * * * no-such-user x\n6 4 * * * root", system=True)
    assert not tasks(found)
    assert "there is no user no-such-user on this machine" in found.unknown[0]
    assert "it has a user, but no command" in found.unknown[1]


def test_a_crontab_of_the_system_that_is_read_as_that_of_a_user_is_noticed(read: Importing) -> None:
    assert "add --system" in read("5 4 * * * root x").warnings[0]
    assert not read("5 4 * * * x root").warnings


def test_a_home_that_does_not_exist_is_no_error(read: Importing) -> None:
    assert only(read("HOME=/no/such/place\n* * * * * x"))["directory"] == "/"


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("/srv/app/backup.sh --all", "backup"),
        ("cd /srv/app && ./bin/rotate logs", "rotate"),
        ("cd /srv && python3.11 -m app.mail.send --all", "send"),
        ("/usr/bin/python3 /srv/report.py", "report"),
        ("FOO=1 BAR=x /usr/bin/env bash -l /srv/x.sh", "x"),
        ("test -x /usr/sbin/anacron || { cd / && run-parts --report /etc/cron.daily; }", "cron-daily"),
        ("[ -x /usr/lib/php/clean ] && if [ ! -d /run/systemd ]; then /usr/lib/php/clean; fi", "clean"),
        ("flock -n /tmp/lock nice -n 10 /opt/sync-all", "sync-all"),
        (r"sleep $((RANDOM\%30)) && /usr/sbin/sync-users -q", "sync-users"),
        ("date >> /var/log/dates 2>&1", "date"),
        ("echo", "echo"),
        ("> x", "job"),
        ("$(", "job"),
        ("ünï", "n"),
        ("a" * 100, "a" * 40),
    ],
)
def test_a_name_says_what_the_command_is_for(command: str, name: str, read: Importing) -> None:
    assert list(tasks(read(f"* * * * * {command}"))) == [name]


def test_names_are_unique_and_do_not_change_when_a_line_is_added(read: Importing) -> None:
    assert list(tasks(read("1 * * * * x a\n2 * * * * x b"))) == ["x", "x-2"]
    assert list(tasks(read("1 * * * * x a\n2 * * * * x b\n3 * * * * y\n4 * * * * x-2"))) == ["x", "x-2", "y", "x-2-2"]


def test_a_job_of_the_boot_is_a_start_up_task_that_nobody_waits_for(read: Importing) -> None:
    found = read("@reboot /usr/bin/daemon")
    assert only(found) == {
        "command": ["/bin/sh", "-c", "/usr/bin/daemon"],
        "kind": "startup",
        "mode": "background",
        "user": ME,
        "no_new_privileges": False,
        "directory": pwd.getpwnam(ME).pw_dir,
        "environment": {"SHELL": "/bin/sh"},
    }
    assert "@reboot: it runs at each start of the supervisor" in unwrapped(found)


# -- the command ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (r"printf '\%s.' 'a\\b' 'a\b' '\a'", r"a\b.a\b.\a."),
        (r"printf '<\%s>' 'a\\' 'b\c' \\\% x", r"<a\><b\c><%><x>"),
        ("cat%", ""),
        ("cat%%", "\n"),
        ("cat%a\\\\%b\\c\\\\d\\", "a\\%b\\c\\\\d\\\n"),
        (r"cat%one\%two%three", "one%two\nthree\n"),
        ("cat%Joe,%%Where are your kids?%", "Joe,\n\nWhere are your kids?\n"),
        ("""cat - ; echo "$0" 'q"'%$HOME `x` "y" 'z'""", """$HOME `x` "y" 'z'\nsh q"\n"""),
        ("echo '${HOME}' $${x} '$${y}'%", "${HOME} x} $${y}\n"),
    ],
)
def test_the_command_does_what_cron_does(line: str, said: str, read: Importing) -> None:
    """What `said` has was written by the jobs of a real cron, Debian's 3.0pl1-162; `$$` is the pid of a shell."""
    found = only(read(f"* * * * * {line}"))
    words = [word.replace("$${", "${") for word in found["command"]]
    done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=True)
    if "$${x}" in line:
        assert done.stdout.startswith("${HOME} ")
        assert done.stdout.endswith("{x} $${y}\n")
    else:
        assert done.stdout.replace("/bin/sh", "sh") == said


def test_the_exit_code_of_a_command_with_input_is_its_own(read: Importing) -> None:
    words = only(read("* * * * * cat > /dev/null; exit 7%text"))["command"]
    assert subprocess.run(words, check=False).returncode == 7


# -- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("A=b", "A", "b"),
        ("  A = a b  ", "A", "a b"),
        ('A="  a\'b "', "A", "  a'b "),
        ("'A B' = 'x'", "A B", "x"),
        ("A=b=c # no comment", "A", "b=c # no comment"),
        ("A=", "A", ""),
        ('A=""', "A", ""),
        ("1A-B.C=x", "1A-B.C", "x"),
        ("A=${HOME}$$", "A", "$${HOME}$$"),
    ],
)
def test_a_setting_is_a_variable_of_the_jobs_below_it(line: str, name: str, value: str, read: Importing) -> None:
    """As Debian's cron reads them: these lines were given to a real one."""
    found = read(f"1 * * * * x\n{line}\n1 * * * * y")
    assert tasks(found)["x"]["environment"] == {"SHELL": "/bin/sh"}
    assert tasks(found)["y"]["environment"] == {"SHELL": "/bin/sh", name: value}


@pytest.mark.parametrize("line", ['A="a"b', "A='x", 'A="a" # c', "A", "=b", "* * * *", "@daily", "0 0 * * 0"])
def test_a_line_that_cron_refuses_is_a_comment_with_its_number(line: str, read: Importing) -> None:
    found = read(f"# first\n{line}\n@daily x")
    assert list(tasks(found)) == ["x"]
    assert len(found.unknown) == 1
    assert ":2: not imported: " in found.unknown[0]
    assert f"# {line}" in found.text
    assert "# Line 2 is not imported: " in found.text


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("0~59 * * * * x", "a random value (~) has no equal"),
        ("61 * * * * x", 'minute "61" is out of range'),
        ("0 0 30 2 * x", "never fires"),
        ("@every_minute x", '"@every_minute" is unknown'),
        ("SHELL=/no/such/shell\n@daily x", "SHELL is /no/such/shell, which is not a program"),
        ("SHELL=bash\n@daily x", "SHELL is bash"),
        ("CRON_TZ=Mars/Base\n@daily x", '"Mars/Base" is not a time zone'),
        ("RANDOM_DELAY=soon\n@daily x", "jitter: "),
        ("@daily a\0b", "NUL"),
        ("A=\0\n@daily x", "NUL"),
    ],
)
def test_a_job_that_cannot_be_a_task_is_a_comment_with_the_reason(line: str, why: str, read: Importing) -> None:
    found = read(line)
    assert not tasks(found)
    assert why in found.unknown[0]
    assert why in unwrapped(found)


def test_bytes_that_are_no_utf8_are_named(read: Importing) -> None:
    found = read(b"# caf\xe9\n@daily echo caf\xe9\nA=\xff\n@daily x")
    assert not tasks(found)
    assert r"# caf\xe9" in found.text
    assert all("bytes that are no UTF-8" in text for text in found.unknown)
    assert len(found.unknown) == 2


def test_a_shell_of_the_crontab_runs_the_command(read: Importing) -> None:
    found = tasks(read("SHELL=/bin/bash\n@daily x\n@daily cat%y"))
    assert found["x"]["command"] == ["/bin/bash", "-c", "x"]
    assert found["cat"]["command"][3:] == ["/bin/bash", "cat", "y\n"]
    assert found["cat"]["environment"] == {"SHELL": "/bin/bash"}


def test_a_zone_and_a_delay_are_keys(read: Importing) -> None:
    found = only(read("CRON_TZ=Europe/Berlin\nTZ=UTC\nRANDOM_DELAY=45\n0 3 * * * x"))
    assert (found["timezone"], found["jitter"]) == ("Europe/Berlin", "45m")
    assert found["environment"] == {"SHELL": "/bin/sh", "TZ": "UTC"}


def test_what_has_no_equal_is_a_comment(read: Importing) -> None:
    found = read('MAILTO=""\nLOGNAME=bob\nTZ=UTC\n@daily x')
    for text in ("# MAILTO has no equal", "# LOGNAME has no effect", "# TZ is for the commands only"):
        assert text in found.text
    assert not found.unknown
    assert only(found)["environment"] == {"SHELL": "/bin/sh", "TZ": "UTC"}


def test_comments_stay_and_cannot_do_harm(read: Importing) -> None:
    found = read("# a \x1b[31m\n\n#0 3 * * * old\n#\n@daily x\n# end\u2028[task.y]")
    assert "# a \\x1b[31m\n\n# 0 3 * * * old\n#\n[task.x]" in found.text
    assert found.text.endswith("# end\\u2028[task.y]")


def test_a_crontab_without_a_job_is_noticed(read: Importing) -> None:
    for text in ("", "# nothing\n", "A=b", "nonsense"):
        assert [warning.endswith("has no job that can be imported") for warning in read(text).warnings] == [True]


def test_lines_that_end_as_on_windows_are_read(read: Importing) -> None:
    assert only(read("A=b\r\n@daily x\r\n"))["command"][2] == "x"


# -- where it comes from ----------------------------------------------------------------------------------------------


def test_a_job_that_a_crontab_still_has_is_noticed(read: Importing, elsewhere: Path) -> None:
    (elsewhere / "crontab").write_text("# x\n1 2 * * * root  x a\n")
    (elsewhere / "cron.d" / "one").write_text("1 2 * * *\tnobody x a\n1 2 * * * root x b\n")
    (elsewhere / "cron.d" / "one.dpkg-old").write_text("1 2 * * * root x b\n")
    (elsewhere / "spool" / "bob").write_text("3 4 * * * y\n")
    found = read("1  2 * * * x a\n3 4 * * * y\n5 6 * * * z")
    assert found.warnings == (
        f"{elsewhere}/crontab still has x: remove the jobs there, or they run twice",
        f"{elsewhere}/cron.d/one still has x: remove the jobs there, or they run twice",
        f"{elsewhere}/spool/bob still has y: remove the jobs there, or they run twice",
    )
    said = unwrapped(found)
    assert said.count("Remove it there, or it runs twice.") == 3
    assert f"It is still in {elsewhere}/crontab, line 2." in said


def test_without_a_file_it_is_the_crontab_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def output_of(words: tuple[str, ...], _: int) -> bytes:
        asked.append(words)
        return b"1 2 * * * x\n"

    monkeypatch.setattr(live_crontabs, "output_of", output_of)
    found = crontab.read(Source("", "", system=False))
    assert only(found)["user"] == ME
    assert found.warnings == (f"the crontab of {ME} still has x: remove the jobs there, or they run twice",)
    assert asked[0] == ("crontab", "-l")
    assert only(crontab.read(Source("", "nobody", system=False)))["user"] == "nobody"
    assert ("crontab", "-u", "nobody", "-l") in asked


def test_the_place_of_a_file_says_whose_it_is(elsewhere: Path) -> None:
    (elsewhere / "cron.d" / "one").write_text("1 2 * * * nobody x\n")
    (elsewhere / "spool" / "nobody").write_text("1 2 * * * y\n")
    for place in ("cron.d/one", "spool/nobody"):
        assert only(crontab.read(Source(str(elsewhere / place), "", system=False)))["user"] == "nobody"


def supctl(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    try:
        code = run(["import", *words])
    except SystemExit as end:
        code = int(end.code or 0)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_exit_codes(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bad").write_text("@daily x\nnonsense\n")
    code, out, err = supctl(capsys, "crontab", "bad")
    assert (code, "[task.x]" in out, err.startswith("bad:2: not imported: ")) == (0, True, True)
    assert supctl(capsys, "crontab", "--strict", "bad")[0] == 1
    (tmp_path / "bad").write_text("@daily x\n")
    assert supctl(capsys, "crontab", "--strict", "bad")[0] == 0
    assert supctl(capsys, "crontab", "none")[::2] == (1, "supctl: cannot import: none: No such file or directory\n")
    assert supctl(capsys, "crontab", ".")[0] == 1
    assert supctl(capsys, "crontab")[::2] == (
        1,
        "supctl: cannot import: this machine has no program crontab; give a FILE, or - for stdin\n",
    )
    assert supctl(capsys, "webjobs", "x")[0] == 1
    code, _, err = supctl(capsys, "cronjob")
    assert (code, "allowed: crontab" in err or "did you mean" in err) == (2, True)
    assert supctl(capsys)[0] == 2

    def no_crontab(*_: object) -> bytes:
        raise FailedError("no crontab for root")

    monkeypatch.setattr(live_crontabs, "output_of", no_crontab)
    assert supctl(capsys, "crontab")[::2] == (1, "supctl: cannot import: crontab -l: no crontab for root\n")


def test_a_file_without_an_end_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = supctl(capsys, "crontab", "/dev/zero")
    assert (code, "more than 16 MiB" in err) == (1, True)


def test_stdin(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "tab").write_text("@daily x\n")
    with contextlib.ExitStack() as stack:
        kept = os.dup(0)
        stack.callback(os.close, kept)
        stack.callback(os.dup2, kept, 0)
        with open(tmp_path / "tab") as file:
            os.dup2(file.fileno(), 0)
        code, out, _ = supctl(capsys, "crontab", "-")
    assert (code, "From stdin" in out, "[task.x]" in out) == (0, True, True)


def test_every_format_is_registered() -> None:
    folder = Path(imports.__file__).parent
    formats = {path.stem for path in folder.glob("*.py") if "\ndef read(source: Source)" in path.read_text()}
    assert formats == set(imports.FORMATS)
    assert not set(imports.LATER) & formats


# -- anything ---------------------------------------------------------------------------------------------------------

FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)

PIECES = st.sampled_from([
    "*", "*/5", "0", "7", "1-5", "a", "mon", "~", "@daily", "@", " ", "\t", "\n", "\r\n", "%", "\\", "\\%", "'", '"',
    "SHELL=", "CRON_TZ=", "MAILTO", "${", "$$", "}", "root", "nobody", "#", "\0", "\x1b", "\u2028", "é", "* * * * * ",
    "@hourly x", "@reboot y", "RANDOM_DELAY=1", "=",
    "HOME=/", "[task.x]", '"""',
])  # fmt: skip


@given(text=st.lists(PIECES, max_size=25).map("".join), system=st.booleans())
@FUZZ
def test_any_text_gives_a_config(text: str, *, system: bool, tmp_path_factory: pytest.TempPathFactory) -> None:
    anything(text.encode(), tmp_path_factory.getbasetemp(), system=system)


@given(data=st.binary(max_size=300))
@FUZZ
def test_any_bytes_give_a_config(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    anything(data, tmp_path_factory.getbasetemp(), system=False)


def anything(data: bytes, place: Path, *, system: bool) -> None:
    path = place / "fuzz"
    path.write_bytes(data)
    found = crontab.read(Source(str(path), "", system))
    check(found.text, place)
    assert all(line.isprintable() or not line for line in found.text.split("\n"))
    io.StringIO().write("".join(found.unknown + found.warnings))
    kept = len(tasks(found)) + len(found.unknown)
    meant = [line for line in data.split(b"\n") if line.strip() and not line.lstrip(b" \t").startswith(b"#")]
    assert kept <= len(meant)
