"""`states.svg`: the states of an instance, and the legal steps between them."""

from __future__ import annotations

from supervisor.core.states import ALIVE, EDGES, State

PLACES = {
    State.HELD: (216, 45),
    State.STARTING: (502, 47),
    State.RUNNING: (678, 195),
    State.STOPPING: (610, 376),
    State.FAILED: (351, 455),
    State.BACKOFF: (94, 372),
    State.STOPPED: (34, 190),
}
"""Where each state stands in the picture, in a ring: the upper left corner of its box."""

WIDTH, HEIGHT, APART = 130, 50, 8

SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 840 550" font-family="sans-serif" font-size="15">
<title>The states of an instance</title>
<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0L10 5L0 10z" fill="#555"/></marker></defs>
<rect width="840" height="550" fill="#fff"/>
{}
<text x="40" y="535" font-size="12">Filled: a process exists. Each arrow is a legal step (core/states.py).</text>
</svg>
"""


def border(state: State, towards: State) -> tuple[float, float]:
    """Return the point on the border of a box at which a line from its middle to that of another box leaves it."""
    (x, y), (to_x, to_y) = PLACES[state], PLACES[towards]
    dx, dy = to_x - x, to_y - y
    scale = min(WIDTH / 2 / abs(dx) if dx else 9e9, HEIGHT / 2 / abs(dy) if dy else 9e9)
    return x + WIDTH / 2 + dx * scale, y + HEIGHT / 2 + dy * scale


def line(old: State, new: State) -> str:
    """Return the arrow of one step. Steps there and back lie beside each other."""
    (x1, y1), (x2, y2) = border(old, new), border(new, old)
    shift = APART / ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5 if (new, old) in EDGES else 0.0
    dx, dy = (y1 - y2) * shift, (x2 - x1) * shift
    ends = f'x1="{x1 + dx:.0f}" y1="{y1 + dy:.0f}" x2="{x2 + dx:.0f}" y2="{y2 + dy:.0f}"'
    return f'<line {ends} stroke="#555" marker-end="url(#tip)"/>'


def states_svg() -> str:
    """Return the picture of the states and of the legal steps between them."""
    shapes = [line(old, new) for old, new in sorted(EDGES) if old != new]
    for state, (x, y) in PLACES.items():
        fill = "#cfe3ff" if state in ALIVE else "#f2f2f2"
        box = f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="8" fill="{fill}" stroke="#333"/>'
        name = f'<text x="{x + WIDTH / 2:.0f}" y="{y + HEIGHT / 2 + 5:.0f}" text-anchor="middle">{state}</text>'
        shapes += [box, name]
    return SVG.format("\n".join(shapes))
