"""``python -m benchmarks [--only NAME] [--json]``: run every ``bench_*.py`` here and print one table."""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

import benchmarks
from benchmarks.measure import Row


def names() -> list[str]:
    """Parts that can be measured: ``bench_metrics.py`` is ``metrics``."""
    return sorted(
        module.name.removeprefix("bench_")
        for module in pkgutil.iter_modules(benchmarks.__path__)
        if module.name.startswith("bench_")
    )


def measured(only: list[str]) -> Iterator[Row]:
    """Rows of the chosen parts, or of all."""
    for name in only or names():
        yield from importlib.import_module(f"benchmarks.bench_{name}").rows()


def table_of(rows: list[Row]) -> Table:
    table = Table(title="cxrlab benchmarks: ratios of processor time, one thread, medians")
    for heading in ("part", "compared with", "ratio", "spread", "goal", "ok", "note"):
        table.add_column(heading, justify="right" if heading in ("ratio", "spread", "goal") else "left")
    for row in rows:
        low, high = row.spread
        goal = f"{'≤' if row.at_most else '≥'} {row.goal:g}"
        ok = "yes" if row.ok else "no"
        table.add_row(row.part, row.compared, f"{row.median:.3g}", f"{low:.3g}-{high:.3g}", goal, ok, row.note)
    return table


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", default=[], choices=names(), help="measure this part alone")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output, nothing else")
    arguments = parser.parse_args()
    rows = list(measured(arguments.only))
    if arguments.json:
        json.dump([row.to_json() for row in rows], sys.stdout, indent=2)
        print()
    else:
        Console().print(table_of(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
