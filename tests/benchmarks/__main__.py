"""Measure, print, and write ``WAREHOUSE_HOME/bench.json``, ``docs/performance.md`` and its pictures."""

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

from tests.benchmarks import line_lists, plots, scale, scheduler, under_airflow, weeks
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
    "tenth": functools.partial(scale.nation, households=2_950_000),  # every county, a tenth of the households: minutes instead of hours
    "scheduler": scheduler.week,
}
ON_DEMAND = ("province", "nation", "tenth", "scheduler")  # hours, not minutes: only with --only
QUICK = {
    "xlsx": functools.partial(line_lists.workbook, rows=20_000),
    "csv": functools.partial(line_lists.text, rows=50_000),
    "city": functools.partial(weeks.city, depths=(3, 30), base=3, counties=2),
    "reader": functools.partial(weeks.reader, weeks=8, base=2, counties=2),
    "payouts": functools.partial(scale.payouts, rows=50_000, weeks=3, counties=2),
    "province": functools.partial(scale.province, counties=3, weeks=3),
    "nation": functools.partial(scale.nation, households=20_000, counties=6),
    "tenth": functools.partial(scale.nation, households=2_000, counties=6),
    "scheduler": functools.partial(scheduler.week, counties=6),
}
TITLES = {
    "payouts_xlsx": "Payout list .xlsx: read, checked, loaded",
    "payouts_xlsx_pandas": "The same, against pandas",
    "payouts_xlsx_dlt": "The same, against dlt",
    "payouts_xlsx_memory": "The same: peak memory",
    "payouts_csv": "Payout list .csv: checked and loaded",
    "payouts_csv_memory": "The same: peak memory",
    "workbook_16_sheets": "A county's weekly workbook: read and checked",
    "city_week_cycle": "Weekly cycle of the city, inbox to published",
    "city_week_airflow": "The same under Airflow",
    "week_in_260_weeks": "A city's week, five years behind it",
    "week_in_1001_weeks": "A city's week, 1,001 weeks behind it",
    "rows_read_in_260_weeks": "Rows of tables a week reads, 260 weeks behind it",
    "rows_read_in_1001_weeks": "Rows of tables a week reads, 1,001 weeks behind it",
    "correction_in_260_weeks": "A county's week corrected, 260 weeks behind it",
    "correction_in_1001_weeks": "A county's week corrected, 1,001 weeks behind it",
    "correction_rows_read_in_260_weeks": "Rows a correction reads, 260 weeks behind it",
    "correction_rows_read_in_1001_weeks": "Rows a correction reads, 1,001 weeks behind it",
    "rules_of_a_week": "All rules over one week",
    "rules_before_payouts": "All rules over one week in front of the payouts",
    "rules_over_payouts": "All rules over every week of the payouts",
    "reader_fct_employment_weekly": "A reader's query: employment",
    "reader_fct_subsidy_payment": "A reader's query: payments",
    "province_memory": "A province's year from originals: peak memory",
    "nation_airflow_instances": "A nation's week under Airflow: task instances",
    "nation_airflow_wait": "… from queued to started",
    "nation_airflow_scheduler": "… the scheduler's processor time, of the wall clock's",
    "nation_receive": "A nation's small files, inbox to published",
    "nation_intake": "A nation's households into raw, of a day",
    "nation_build": "… built, of a day",
    "nation_judge": "… judged, of a day",
    "nation_publish": "… published, of a day",
    "nation_correction": "… one county corrected, file to published",
    "nation_query_county": "… one county asked for, of two seconds",
    "nation_query_all": "… all counties asked for, of two seconds",
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
    lines = ["| figure | against | ours | theirs | ratio | goal | | samples |", "|---|---|---|---|---|---|---|---|"]
    for f in figures:
        unit = f.unit.split(" / ")[0]
        theirs = f.detail.get("peer", f.detail.get("limit"))
        against = f.detail.get("peer_is", "limit")
        size = f" ({f.detail['rows']:,} rows)" if "rows" in f.detail else ""
        samples = " ".join(f"{s:g}" for s in f.samples)
        lines.append(
            f"| {TITLES.get(f.name, f.name)}{size} | {against} | {f.detail['ours']:,} {unit} | {theirs:,} {unit} | {f.ratio:g} | ≤ {f.goal:g} "
            f"| {'yes' if f.reached else '**missed**'} | {samples} |"
        )
    return "\n".join(lines)


def report(figures: list[Figure]) -> str:
    steps = next((f.detail["steps"] for f in figures if "steps" in f.detail), {})
    names = list(dict.fromkeys(step for took in steps.values() for step in took))
    depth = ""
    if steps:
        rows = "\n".join(f"| {d} | " + " | ".join(f"{took.get(n, 0):g}" for n in names) + f" | {sum(took.values()):.1f} |" for d, took in steps.items())
        depth = (
            "\n## A week behind more and more history\n\nSeconds by step; imports of the process are counted where they happen.\n\n"
            f"![by step](performance-depth.svg)\n\n| weeks | {' | '.join(names)} | all |\n|{'---|' * (len(names) + 2)}\n{rows}\n"
        )
    when = "\n".join(
        f"- {at}: {', '.join(TITLES.get(n, n) for n in ns)}; load average before {load}" for (at, load), ns in _runs(figures).items()
    )
    return (
        "# Performance\n\nWritten by `make bench`; do not edit. Every figure is a ratio within one run, ours over a named peer's or over a limit, of medians; "
        "the samples stand behind it. What is beyond a city, and how to measure it, is in [scale.md](scale.md).\n\n"
        f"Machine: {figures[0].detail.get('machine', machine()) if figures else machine()}.\n\n![ratios](performance-ratios.svg)\n\n{table(figures)}\n{depth}\n## Measured\n\n{when}\n"
    )


def _runs(figures: list[Figure]) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for f in figures:
        found.setdefault((str(f.detail.get("measured_at", "")), str(f.detail.get("load_average", ""))), []).append(f.name)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", choices=GROUPS, action="append", help="measure this group only (repeatable); other figures are kept as they were")
    parser.add_argument("--samples", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one sample of small sizes: shows that it runs, says nothing of speed; bench.json and docs stay as they are")
    given = parser.parse_args()
    samples = 1 if given.quick else given.samples
    settings = Settings.from_environment()
    settings.prepare()
    target = settings.home / "bench.json"
    figures: list[Figure] = []
    if given.only and target.exists() and not given.quick:
        figures = [Figure(**f) for f in json.loads(target.read_text(encoding="utf-8"))]
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
        figures.sort(key=lambda f: list(TITLES).index(f.name) if f.name in TITLES else len(TITLES))
        if not given.quick:
            target.write_text(json.dumps([asdict(f) for f in figures], ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(table(figures))
    if figures and not given.quick:
        docs = REPOSITORY / "docs"
        (docs / "performance.md").write_text(report(figures), encoding="utf-8")
        (docs / "performance-ratios.svg").write_text(plots.ratios(figures, TITLES), encoding="utf-8")
        if steps := next((f.detail["steps"] for f in figures if "steps" in f.detail), None):
            (docs / "performance-depth.svg").write_text(plots.steps(steps), encoding="utf-8")
    if failed:
        print(f"Not measured: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
