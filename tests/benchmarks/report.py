"""What `python -m tests.benchmarks` writes of its figures: ``docs/performance.md`` and its pictures."""

from __future__ import annotations

import math

from tests.benchmarks import plots
from tests.benchmarks.figure import Figure

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
}


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


def in_order(figures: list[Figure]) -> list[Figure]:
    return sorted(figures, key=lambda f: list(TITLES).index(f.name) if f.name in TITLES else len(TITLES))


def files(figures: list[Figure]) -> dict[str, str]:
    """The page and its pictures, name → text, from all figures that are known."""
    of_areas = [f for f in figures if f.name.partition("_")[0] in AREAS and f.name.partition("_")[2] in OF_AREA]
    others = [f for f in figures if f not in of_areas]
    steps = next((f.detail["steps"] for f in figures if "steps" in f.detail), {})
    page = PAGE.format(table=table(others), depth=_depth(steps), nation=_nation(of_areas), when=_when(figures))
    found = {"performance.md": page, "performance-ratios.svg": plots.ratios(others, TITLES)}
    return found | ({"performance-depth.svg": plots.steps(steps)} if steps else {})


PAGE = """# Performance

Written by `make bench`; do not edit. Every figure is a ratio within one run, ours over a named peer's or over a limit, of medians;
the samples stand behind it. What is beyond a city, and how to measure it, is in [scale.md](scale.md). The same as data:
[performance.json](performance.json).

![ratios](performance-ratios.svg)

{table}
{depth}{nation}
## Measured

{when}
"""


def _depth(steps: dict[str, dict[str, float]]) -> str:
    if not steps:
        return ""
    names = list(dict.fromkeys(step for took in steps.values() for step in took))
    rows = "\n".join(f"| {d} | " + " | ".join(f"{took.get(n, 0):g}" for n in names) + f" | {sum(took.values()):.1f} |" for d, took in steps.items())
    return (
        "\n## A week behind more and more history\n\nSeconds by step; imports of the process are counted where they happen.\n\n"
        f"![by step](performance-depth.svg)\n\n| weeks | {' | '.join(names)} | all |\n|{'---|' * (len(names) + 2)}\n{rows}\n"
    )


# ---------------------------------------------------------------- a nation

AREAS = ("hundredth", "tenth", "nation")  # of the nation's households, each ten times the one before
ROWS = (  # title, figure, and which of its numbers; the window stands where the figure is not named
    ("COPY into raw with its keys, one session: rows a second", "intake", "rows_a_second"),
    ("built by dbt, keys and foreign keys checked: s", "build", "ours"),
    ("built by dbt on Spark instead, on the same machine: s", "spark", "ours"),
    ("judged by the rules: s", "judge", "ours"),
    ("published, hashed, in one transaction: s", "publish", "ours"),
    ("intake to publication, one after the other: s", None, None),
    ("one county corrected then, file to published: s", "correction", "ours"),
    ("… and the report's pages after that: s", "correction", "report_s"),
    ("a query of one county's week: s", "query_county", "ours"),
    ("a query of every county's week: s", "query_all", "ours"),
    ("a cycle over every county's small files of a week: s", "receive", "ours"),
    ("most memory of all processes while building: MB", "build", "peak_mb"),
    ("… while publishing: MB", "publish", "peak_mb"),
    ("raw rows with their keys: GB", "intake", "raw_gb"),
    ("published rows with their keys: GB", "publish", "store_gb"),
)
OF_AREA = {figure for _, figure, _ in ROWS if figure}
WINDOW = ("intake", "build", "judge", "publish")  # one after the other in one session each
DAY = 24 * 3600


def _nation(figures: list[Figure]) -> str:
    """A table of one week's snapshot by size, and what follows for the limits of one server."""
    known = {f.name: f.detail for f in figures}
    areas = [a for a in AREAS if f"{a}_publish" in known]
    if not areas:
        return ""

    def row(title: str, values: list[object]) -> str:
        return f"| {title} | " + " | ".join(f"{v:,}" if isinstance(v, int | float) else str(v) for v in values) + " |"

    window = {a: sum(known[f"{a}_{step}"]["ours"] for step in WINDOW) for a in areas}
    rows = [row("households", [known[f"{a}_publish"]["rows"] for a in areas]), "|" + "---|" * (len(areas) + 1)]
    rows += [row(title, [known.get(f"{a}_{figure}", {}).get(what, "—") if figure else round(window[a]) for a in areas]) for title, figure, what in ROWS]
    return (
        f"\n## A nation's week on one PostgreSQL\n\nOne week's snapshot of the monitored households of {known[f'{areas[-1]}_publish']['counties']:,} counties, "
        f"behind a week that is published.\n\n" + "\n".join(rows) + "\n" + _ends(known, areas, window)
    )


def _ends(known: dict[str, dict], areas: list[str], window: dict[str, float]) -> str:
    """Where a limit is reached if it goes on as between the two largest sizes, in proportion at least; nothing for a single size."""
    if len(areas) < 2:
        return ""
    less, most = areas[-2:]
    rows = {a: known[f"{a}_publish"]["rows"] for a in areas}

    def reached(low: float, high: float, limit: float) -> str:
        power = max(1.0, math.log(high / low) / math.log(rows[most] / rows[less]))  # below one, what a run costs anyway still tells
        return f"{rows[most] * (limit / high) ** (1 / power) / 1e6:,.0f} million households (time growing with their number to the power {power:.2f})"

    asked = [known[f"{a}_query_all"]["ours"] for a in (less, most)]
    held = known[f"{most}_intake"]["raw_gb"] + known[f"{most}_publish"]["store_gb"]
    return (
        f"\nIf it goes on as from {rows[less]:,} to {rows[most]:,} households, in proportion at least:\n\n"
        f"- intake to publication fill a day at {reached(window[less], window[most], DAY)};\n"
        f"- a query of every county's week takes ten seconds at {reached(*asked, 10.0)};\n"
        f"- a year of such weeks is {52 * held:,.0f} GB of raw and published rows, since nothing is dropped.\n"
    )


# ---------------------------------------------------------------- when, and where


def _when(figures: list[Figure]) -> str:
    lines = (f"- {at}: {', '.join(TITLES.get(n, n) for n in names)}; load average before {load}; {machine}" for (at, load, machine), names in _runs(figures).items())
    return "\n".join(lines)


def _runs(figures: list[Figure]) -> dict[tuple[str, str, str], list[str]]:
    found: dict[tuple[str, str, str], list[str]] = {}
    for f in figures:
        found.setdefault(tuple(str(f.detail.get(what, "")) for what in ("measured_at", "load_average", "machine")), []).append(f.name)
    return found
