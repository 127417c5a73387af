"""What people read of an error of the machine."""

import errno
import os

import pytest

from supervisor.core.words import in_words


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "No space left on device"),
        (OSError(errno.ENOENT, os.strerror(errno.ENOENT), "/x"), "No such file or directory: /x"),
        (OSError("the kernel does not take it"), "the kernel does not take it"),
        (OSError(), "OSError"),
        (ValueError("odd"), "odd"),
    ],
)
def test_without_its_number(error: Exception, text: str) -> None:
    assert in_words(error) == text
