"""The triggered task: `supctl run report --wait -- --top 3` prints the stations and their averages."""

from __future__ import annotations

import argparse
import sqlite3
from contextlib import closing

from place import DATABASE


def main() -> None:
    """Prints one line per station, the warmest first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--top", type=int, default=5, help="how many stations")
    top = parser.parse_args().top
    with closing(sqlite3.connect(f"file:{DATABASE}?mode=ro", uri=True)) as database:
        rows = database.execute(
            "SELECT station, count(*), avg(celsius) FROM reading GROUP BY station ORDER BY 3 DESC LIMIT ?", (top,)
        )
        for station, count, celsius in rows:
            print(f"{station}: {celsius:.1f} °C on average of {count} readings")


if __name__ == "__main__":
    main()
