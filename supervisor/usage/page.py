"""Write the heat map as one page of HTML. It loads nothing else: no script, no font, no picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from html import escape

from supervisor.usage.advice import Advice
from supervisor.usage.heat import Heat, colour

STYLE = """
:root { color-scheme: light dark; }
body { font: 14px/1.5 system-ui, sans-serif; margin: 2em; max-width: 110em; }
h1 { font-size: 1.4em; margin: 0 0 .2em; }
p.of { opacity: .7; margin: 0 0 1.5em; }
div.map { overflow-x: auto; }
table { border-collapse: separate; border-spacing: 1px; }
th { text-align: right; font-weight: normal; padding-right: .6em; white-space: nowrap; position: sticky; left: 0;
  background: Canvas; }
td { min-width: 10px; height: 20px; padding: 0; }
td:hover { outline: 2px solid currentColor; }
tr.times td { height: auto; font-size: 11px; opacity: .7; white-space: nowrap; }
span.key { display: inline-block; width: 28px; height: 12px; }
ul { padding-left: 1.2em; }
"""

KEYS = 7
"""The number of colours in the key."""


def page(name: str, heat: Heat, advice: Sequence[Advice], shown: Callable[[float], str]) -> str:
    """Return the whole page.

    Args:
        name: the name of the supervisor.
        heat: the grid.
        advice: the advice for this grid.
        shown: formats a value with its unit.
    """
    title = escape(f"{name}: {heat.metric} of the tasks")
    rows = "\n".join(_row(task, row, heat, shown) for task, row in heat.rows.items())
    said = "\n".join(f"<li>{escape(one.text)}</li>" for one in advice) or "<li>Nothing stands out.</li>"
    key = "".join(
        f'<span class="key" style="background:{_css(heat.top * (n / (KEYS - 1)) ** 2, heat.top)}"></span>'
        for n in range(KEYS)
    )
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>{STYLE}</style>
<h1>{title}</h1>
<p class="of">{escape(about(heat))} 0 {key} {escape(shown(heat.top))}</p>
<div class="map"><table>
{rows}
{_times(heat)}
</table></div>
<h2>Advice</h2>
<ul>
{said}
</ul>
</html>
"""


def about(heat: Heat) -> str:
    """Return the period and the amount of data as text."""
    slots = len(next(iter(heat.rows.values()), ()))
    until = heat.since + slots * heat.step
    return f"{_at(heat.since)} to {_at(until)} UTC, {heat.step} s a cell, from {heat.samples} measurements."


def _row(task: str, row: tuple[float | None, ...], heat: Heat, shown: Callable[[float], str]) -> str:
    cells = []
    for slot, value in enumerate(row):
        when = f"{_at(heat.since + slot * heat.step)} to {_at(heat.since + (slot + 1) * heat.step)[-5:]}"
        text = escape(f"{task}, {when}: {'not seen' if value is None else shown(value)}", quote=True)
        cells.append(f'<td style="background:{_css(value, heat.top)}" title="{text}"></td>')
    return f"<tr><th>{escape(task)}</th>{''.join(cells)}</tr>"


def _times(heat: Heat) -> str:
    """Return the row of times below the map, one time for every sixth column."""
    slots = len(next(iter(heat.rows.values()), ()))
    marks = [
        f'<td colspan="{min(6, slots - slot)}">{_at(heat.since + slot * heat.step)[-5:]}</td>'
        for slot in range(0, slots, 6)
    ]
    return f'<tr class="times"><th></th>{"".join(marks)}</tr>'


def _css(value: float | None, top: float) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour(value, top))


def _at(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
