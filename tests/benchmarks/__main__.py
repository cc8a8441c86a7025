"""Measure, print, and write ``WAREHOUSE_HOME/bench.json``, ``docs/performance.md`` with its pictures and, as data, ``docs/performance.json``.

The last keeps what was measured before, so that a few figures can be measured anew; each says when, and on what machine.
"""

from __future__ import annotations

import argparse
import datetime as dt
import functools
import json
import os
import platform
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from tests.benchmarks import line_lists, report, scale, scheduler, under_airflow, weeks
from tests.benchmarks.figure import Figure, Workshop, workshop
from warehouse.settings import REPOSITORY, Settings

GROUPS: dict[str, Callable[[Workshop, int], list[Figure]]] = {
    "xlsx": line_lists.workbook,
    "csv": line_lists.text,
    "sheets": weeks.sheets,
    "city": weeks.city,
    "reader": weeks.reader,
    "payouts": scale.payouts,
    "airflow": under_airflow.weekly,
    "province": scale.province,
    "nation": scale.nation,
    # every county, and a part of the households: minutes instead of hours, and how it grows
    "tenth": functools.partial(scale.nation, households=2_950_000, name="tenth"),
    "hundredth": functools.partial(scale.nation, households=295_000, name="hundredth"),
    "spark": scale.engines,
    "scheduler": scheduler.week,
}
ON_DEMAND = ("province", "nation", "tenth", "hundredth", "spark", "scheduler")  # hours, not minutes: only with --only
QUICK = {
    "xlsx": functools.partial(line_lists.workbook, rows=20_000),
    "csv": functools.partial(line_lists.text, rows=50_000),
    "city": functools.partial(weeks.city, depths=(3, 30), base=3, counties=2),
    "reader": functools.partial(weeks.reader, weeks=8, base=2, counties=2),
    "payouts": functools.partial(scale.payouts, rows=50_000, weeks=3, counties=2),
    "province": functools.partial(scale.province, counties=3, weeks=3),
    "nation": functools.partial(scale.nation, households=20_000, counties=6),
    "tenth": functools.partial(scale.nation, households=2_000, counties=6, name="tenth"),
    "hundredth": functools.partial(scale.nation, households=1_000, counties=3, name="hundredth"),
    "spark": functools.partial(scale.engines, households=2_000, counties=6),
    "scheduler": functools.partial(scheduler.week, counties=6),
}
def machine() -> str:
    model, memory = platform.processor() or platform.machine(), 0.0
    cpuinfo, meminfo = Path("/proc/cpuinfo"), Path("/proc/meminfo")
    if cpuinfo.exists():
        model = next((line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")), model)
    if meminfo.exists():
        memory = int(meminfo.read_text().split()[1]) / 2**20
    return f"{os.cpu_count()} × {model}, {memory:.0f} GB, {platform.system()}, Python {platform.python_version()}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", choices=GROUPS, action="append", help="measure this group only (repeatable); other figures are kept as they were")
    parser.add_argument("--samples", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one sample of small sizes: shows that it runs, says nothing of speed; bench.json and docs stay as they are")
    given = parser.parse_args()
    samples = 1 if given.quick else given.samples
    settings = Settings.from_environment()
    settings.prepare()
    record = REPOSITORY / "docs" / "performance.json"
    figures = [Figure(**f) for f in json.loads(record.read_text(encoding="utf-8"))] if record.exists() and not given.quick else []
    failed = []
    for name in given.only or [g for g in GROUPS if g not in ON_DEMAND]:
        print(f"{name} …", file=sys.stderr, flush=True)
        about = {"measured_at": f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC", "load_average": " ".join(f"{v:.1f}" for v in os.getloadavg()), "machine": machine()}
        try:
            with workshop() as shop:
                measured = (QUICK.get(name, GROUPS[name]) if given.quick else GROUPS[name])(shop, samples)
        except Exception as error:  # the other groups' figures are worth having
            traceback.print_exc()
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            failed.append(name)
            continue
        for figure in measured:
            figure.detail |= about
        new = {f.name for f in measured}
        figures = [f for f in figures if f.name not in new] + measured
        if not given.quick:
            for target in (settings.home / "bench.json", record):
                target.write_text(json.dumps([asdict(f) for f in report.in_order(figures)], ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(report.table(figures))
    if figures and not given.quick:
        for name, text in report.files(report.in_order(figures)).items():
            (record.parent / name).write_text(text, encoding="utf-8")
    if failed:
        print(f"Not measured: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
