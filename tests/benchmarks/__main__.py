"""Measure, print, and write ``WAREHOUSE_HOME/bench.json`` and ``docs/performance.md``."""

from __future__ import annotations

import argparse
import datetime as dt
import functools
import json
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from tests.benchmarks import line_lists, weeks
from tests.benchmarks.figure import Figure, Workshop, workshop
from warehouse.settings import REPOSITORY, Settings

GROUPS: dict[str, Callable[[Workshop, int], list[Figure]]] = {
    "xlsx": line_lists.workbook,
    "csv": line_lists.text,
    "sheets": weeks.sheets,
    "city": weeks.city,
    "correction": weeks.correction,
}
QUICK = {
    "xlsx": functools.partial(line_lists.workbook, rows=20_000),
    "csv": functools.partial(line_lists.text, rows=50_000),
    "correction": functools.partial(weeks.correction, short=4, long=12, counties=1),
}
TITLES = {
    "payouts_xlsx": "Payout list .xlsx: read, checked by all its rules, loaded",
    "payouts_xlsx_pandas": "The same",
    "payouts_xlsx_memory": "The same: peak memory",
    "payouts_csv": "Payout list .csv: checked and loaded",
    "payouts_csv_memory": "The same: peak memory",
    "workbook_16_sheets": "A county's weekly workbook: read and checked",
    "city_week_cycle": "Weekly cycle of the city, inbox to published",
    "rules_of_a_week": "All rules over one week",
    "reader_query": "A reader's query on a marts view",
    "correction_in_history": "A county's week corrected, deep history",
}


def machine() -> str:
    model, memory = platform.processor() or platform.machine(), 0.0
    cpuinfo, meminfo = Path("/proc/cpuinfo"), Path("/proc/meminfo")
    if cpuinfo.exists():
        model = next((line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")), model)
    if meminfo.exists():
        memory = int(meminfo.read_text().split()[1]) / 2**20
    return f"{os.cpu_count()} × {model}, {memory:.0f} GB, {platform.system()}, Python {platform.python_version()}"


def table(figures: list[Figure]) -> str:
    lines = ["| figure | peer or limit | ours | theirs | ratio | goal | |", "|---|---|---|---|---|---|---|"]
    for f in figures:
        unit = f.unit.split(" / ")[0]
        theirs = f.detail.get("peer", f.detail.get("limit"))
        against = f.detail.get("peer_is", "limit")
        size = f" ({f.detail['rows']:,} rows)" if "rows" in f.detail else ""
        lines.append(
            f"| {TITLES.get(f.name, f.name)}{size} | {against} | {f.detail['ours']} {unit} | {theirs} {unit} | {f.ratio} | ≤ {f.goal} | {'yes' if f.reached else '**missed**'} |"
        )
    return "\n".join(lines)


def report(figures: list[Figure], about: dict) -> str:
    steps = next((f.detail["steps"] for f in figures if "steps" in f.detail), {})
    cycle = "\n\nThe cycle by step, in seconds: " + ", ".join(f"{k} {v}" for k, v in steps.items()) + "." if steps else ""
    load = ", ".join(f"{v:.1f}" for v in about["load_average"])
    return (
        "# Performance\n\nWritten by `make bench`; do not edit. Every figure is a ratio within one run: ours over a named peer, or over a limit; "
        f"the median of {about['samples']} (pandas: two at most, memory: one run).\n\n"
        f"Machine: {about['machine']}. Measured {about['measured_at']}; load average before the run {load}.\n\n{table(figures)}{cycle}\n"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", choices=GROUPS, action="append", help="measure this group only (repeatable); other figures are kept as they were")
    parser.add_argument("--samples", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one sample of small sizes: shows that it runs, says nothing of speed; docs stay as they are")
    given = parser.parse_args()
    samples = 1 if given.quick else given.samples
    about = {
        "machine": machine(), "measured_at": f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC", "samples": samples,
        "quick": given.quick, "load_average": list(os.getloadavg()),
    }  # fmt: skip
    settings = Settings.from_environment()
    settings.prepare()
    target = settings.home / "bench.json"
    figures: list[Figure] = []
    if given.only and target.exists() and not given.quick:
        figures = [Figure(**f) for f in json.loads(target.read_text(encoding="utf-8"))["figures"]]
    for name in given.only or GROUPS:
        print(f"{name} …", file=sys.stderr, flush=True)
        with workshop() as shop:
            measured = (QUICK.get(name, GROUPS[name]) if given.quick else GROUPS[name])(shop, samples)
        new = {f.name for f in measured}
        figures = [f for f in figures if f.name not in new] + measured
        figures.sort(key=lambda f: list(TITLES).index(f.name))
        target.write_text(json.dumps(about | {"figures": [asdict(f) for f in figures]}, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(table(figures))
    if not given.quick:
        (REPOSITORY / "docs" / "performance.md").write_text(report(figures, about), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
