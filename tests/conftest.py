"""What all tests share. Its place also puts this folder on the import path: `from sim.scenario import Scenario`."""

import signal

import pytest

BOUND = 300.0
"""Seconds for one test. It is a bound against hanging: the longest test takes about a minute on an idle machine."""


def pytest_configure(config):
    """Undo what `nohup`, and `&` in a script, do to signals: a child inherits what is ignored, and a test sends it.

    The tests themselves still survive a hang-up under `nohup`: a handler is not inherited over an exec.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item, nextitem):
    """Fail a test that takes too long, whatever it waits for; its teardown has as much time again."""
    marker = item.get_closest_marker("bound")
    bound = marker.args[0] if marker else BOUND

    def too_long(*_):
        pytest.fail(f"the test took longer than {bound:g} s")

    old = signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, bound, bound)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
