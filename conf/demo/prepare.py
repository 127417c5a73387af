"""The start-up task: makes a small database of readings. Nothing else starts before it has succeeded."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing

from place import DATABASE, SOCKET

STATIONS = ("Bergen", "Cork", "Gdańsk", "Porto", "Turku")
ROWS = 1000


def main() -> None:
    """Fills a new file and puts it in place as a whole: a crash half way leaves no half data."""
    new = DATABASE.with_suffix(".new")
    new.unlink(missing_ok=True)
    chance = random.Random(1)
    with closing(sqlite3.connect(new)) as database, database:
        database.execute("CREATE TABLE reading (station TEXT, hour INTEGER, celsius REAL)")
        rows = ((chance.choice(STATIONS), hour, round(chance.gauss(9, 6), 1)) for hour in range(ROWS))
        database.executemany("INSERT INTO reading VALUES (?, ?, ?)", rows)
    new.replace(DATABASE)
    print(f"{ROWS} readings of {len(STATIONS)} stations are ready")
    print(f"talk to this supervisor: export SUPERVISOR_SOCKET={SOCKET}; supctl status")


if __name__ == "__main__":
    main()
