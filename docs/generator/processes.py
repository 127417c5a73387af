"""`processes.svg`: the processes of one supervisor, and what goes between them."""

from __future__ import annotations

WIDTH, HEIGHT = 160, 54

BOXES = {
    "systemd": (60, 30, "starts and watches it"),
    "supctl": (620, 30, "one verb"),
    "supervisor": (340, 130, "decides; never blocks"),
    "@spawner": (60, 230, "forks every child"),
    "task": (60, 360, "one run of a task"),
    "@scribe": (340, 360, "output and history"),
    "@timekeeper": (620, 130, "firings, on disk"),
    "@prober": (620, 230, "HTTP and TCP probes"),
    "@health": (620, 360, "/live, /ready, /health"),
    "files": (340, 480, "logs, journald, SQLite"),
}
"""Where each box stands, its upper left corner, and its second line."""

ARROWS = (
    ("systemd", "supervisor", "exec; hears READY=1"),
    ("supctl", "supervisor", "control socket"),
    ("supervisor", "@spawner", "orders: start, hold a descriptor"),
    ("@spawner", "task", "clone, exec"),
    ("task", "@scribe", "FIFOs"),
    ("supervisor", "@scribe", "run records"),
    ("supervisor", "@timekeeper", "firings"),
    ("supervisor", "@prober", "probes"),
    ("supervisor", "@health", "states"),
    ("@scribe", "files", ""),
)
"""From which box to which, and what goes that way."""

SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 840 570" font-family="sans-serif" font-size="15">
<title>The processes of one supervisor</title>
<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0L10 5L0 10z" fill="#555"/></marker></defs>
<rect width="840" height="570" fill="#fff"/>
{}
</svg>
"""


def border(name: str, towards: str) -> tuple[float, float]:
    """Return the point on the border of a box at which a line from its middle to that of another box leaves it."""
    (x, y, _), (to_x, to_y, _) = BOXES[name], BOXES[towards]
    dx, dy = to_x - x, to_y - y
    scale = min(WIDTH / 2 / abs(dx) if dx else 9e9, HEIGHT / 2 / abs(dy) if dy else 9e9)
    return x + WIDTH / 2 + dx * scale, y + HEIGHT / 2 + dy * scale


def arrow(start: str, end: str, label: str) -> str:
    """Return one arrow, with its label on a white ground in the middle."""
    (x1, y1), (x2, y2) = border(start, end), border(end, start)
    shown = f'<line x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}" stroke="#555" marker-end="url(#tip)"/>'
    if label:
        x, y, wide = (x1 + x2) / 2, (y1 + y2) / 2, 6.2 * len(label) + 8
        shown += f'\n<rect x="{x - wide / 2:.0f}" y="{y - 9:.0f}" width="{wide:.0f}" height="18" fill="#fff"/>'
        shown += f'\n<text x="{x:.0f}" y="{y + 4:.0f}" font-size="12" text-anchor="middle">{label}</text>'
    return shown


def processes_svg() -> str:
    """Return the picture of the processes and of what goes between them."""
    shapes = [arrow(*one) for one in ARROWS]
    for name, (x, y, what) in BOXES.items():
        fill, round_ = ("#f2f2f2", 0) if name == "files" else ("#cfe3ff", 8)
        middle = x + WIDTH / 2
        shapes += [
            f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="{round_}" fill="{fill}" stroke="#333"/>',
            f'<text x="{middle:.0f}" y="{y + 23}" text-anchor="middle">{name}</text>',
            f'<text x="{middle:.0f}" y="{y + 42}" font-size="12" text-anchor="middle">{what}</text>',
        ]
    return SVG.format("\n".join(shapes))
