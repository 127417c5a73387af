"""List the exit codes of both programs.

`supctl` has those of the contract's section 7. `supervisor` has those of sysexits.h(3head) where one fits.
"""

OK = 0
REFUSED = 1
"""The request was refused, or its outcome is a failure."""
USAGE = 2
"""The command line or the arguments of a request are wrong."""
NOT_WELL = 3
"""A wanted task does not run, or is held."""
UNKNOWN = 4
"""There is no such task, run or group."""
UNREACHABLE = 5
"""No supervisor answers."""

FAILED = 1
"""The supervisor could not run."""
EX_UNAVAILABLE = 69
"""A task gave up, and its `on_give_up` is "shutdown". The code is not zero, so that the unit starts it again."""
EX_CONFIG = 78
"""The config has errors. systemd does not start the service again: RestartPreventExitStatus=78."""


def exit_of(answer: object) -> int:
    """Return supctl's exit code for an answer with outcomes of instances: 0, 3 if one is held, 1 if one failed."""
    instances = answer.get("instances", ()) if isinstance(answer, dict) else ()
    outcomes = {one["outcome"] for one in instances if not one.get("ok", True)}
    if not outcomes:
        return OK
    return NOT_WELL if outcomes == {"held"} else REFUSED
