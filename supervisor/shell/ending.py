"""End the supervisor: withdraw readiness, give every task its grace, and kill the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from supervisor.core.immutable import replace
from supervisor.core.roster import Shutdown

if TYPE_CHECKING:
    from supervisor.control.wait import Asker
    from supervisor.shell.alerts import Alerts
    from supervisor.shell.context import Context


TO_END = 30.0
"""Seconds that the supervisor itself may need after `stop_grace`: to kill what is left, and to stop the helpers."""


class Ending:
    """How the supervisor ends, and the clients that wait for it."""

    def __init__(self, context: Context, alerts: Alerts) -> None:
        self.goodbye: list[Asker] = []  # the clients that wait for the end
        self._context = context
        self._alerts = alerts
        self._signals = 0  # SIGTERM and SIGINT so far

    def begin(self, reason: str, exit_code: int = 0, within: float | None = None) -> None:
        """Stop everything, dependents first.

        A second call can only lower the exit code, and cut the wait for foreground tasks short.

        Args:
            reason: for people.
            exit_code: of the supervisor.
            within: the maximum of seconds to wait for foreground tasks. None: as `stop_grace` permits; in a second
                call, no longer.
        """
        context, fleet = self._context, self._context.fleet
        if fleet.shutdown:  # a wish to end is stronger than one to be started again
            fleet.shutdown = replace(fleet.shutdown, exit_code=min(exit_code, fleet.shutdown.exit_code))
            self._hasten(reason, within or 0.0)
            return
        now, settings = context.host.now(), context.config.settings
        grace, drain = settings.stop_grace, settings.drain_delay
        longest = f"EXTEND_TIMEOUT_USEC={int((grace + TO_END) * 1e6)}"
        context.host.notify("STOPPING=1", longest, f"STATUS=shutting down: {reason}")
        context.host.log("warning", f"shutting down: {reason}; SIGKILL to what is left in {grace:g} s")
        if drain:
            context.host.log("info", f"no longer ready; the first stop signal is sent in {drain:g} s (drain_delay)")
        context.journaling.facts.append({"fleet": "shutdown", "why": reason})
        self._alerts.hurry(now + grace)
        fleet.shut_down(Shutdown(reason, now + grace, exit_code, now + drain if drain else None), now, within)
        context.announcer.event("shutdown", why=reason, awaits=self._say_what_is_awaited(now))
        context.announcer.overview()

    def _say_what_is_awaited(self, now: float) -> list[str]:
        """Return, and log, the foreground tasks for whose end the shutdown waits."""
        fleet = self._context.fleet
        until = fleet.shutdown.wait_until if fleet.shutdown else None
        names = [i.name for i in fleet.instances.values() if fleet.outlasts(i)]
        if until and names:
            text = f'waits for the end of {", ".join(names)} (mode = "foreground"), for {until - now:.3g} s at most'
            self._context.host.log("info", f"{text}; a second request stops it at once")
        return names

    def _hasten(self, reason: str, within: float) -> None:
        """Wait no longer for foreground tasks than these seconds."""
        fleet, now = self._context.fleet, self._context.host.now()
        if fleet.shutdown and fleet.shutdown.wait_until is not None and now + within < fleet.shutdown.wait_until:
            when = f"in {within:g} s at the latest" if within else "now"
            self._context.host.log("warning", f"{reason}: foreground tasks are stopped {when}")
            fleet.hasten(within, now)

    def signalled(self, name: str) -> None:
        """Obey SIGTERM or SIGINT: the first one begins the end, the third one kills everything at once.

        The second one stops the foreground tasks for which the first one waits.
        """
        self._signals += 1
        if self._signals == 1:
            self.begin(name)
        elif self._signals == 2:
            self._hasten(name, 0.0)
            self._context.host.log("warning", f"{name}: already shutting down; once more kills everything at once")
        else:
            self._alerts.abandon()
            self._context.fleet.kill_all(f"{name} for the third time", self._context.host.now())
