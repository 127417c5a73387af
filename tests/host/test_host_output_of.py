"""What another program writes, or why it cannot be had."""

import pytest

from supervisor.host import output_of as module
from supervisor.host.output_of import FailedError, output_of


def test_the_output_is_returned() -> None:
    assert output_of(("printf", "a\\nb")) == b"a\nb"


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("echo 'no crontab' >&2; exit 1", "no crontab"),
        ("exit 3", "sh ended with status 3"),
        ("yes | head -c 100", "wrote more than 10 bytes"),
        ("sleep 1000", "sh took longer than 0.1 s"),
    ],
)
def test_a_program_that_fails_says_why(command: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if "sleep" in command:
        monkeypatch.setattr(module, "TIME_LIMIT", 0.1)
    with pytest.raises(FailedError, match=why):
        output_of(("sh", "-c", f"exec {command}" if "sleep" in command else command), 10)


def test_a_program_that_is_missing() -> None:
    with pytest.raises(FileNotFoundError):
        output_of(("no-such-program",))
