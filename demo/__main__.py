"""Made-up data of any size: ``python -m demo reference|weeks|payouts|history``; see docs/scale.md."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    about = kinds.add_parser("reference", help="counties, townships and villages of a province or a nation that does not exist")
    about.add_argument("folder", type=Path)
    about.add_argument("--counties", type=int, default=100)
    about.add_argument("--townships", type=int, default=10, help="per county")
    about.add_argument("--villages", type=int, default=8, help="per township")
    about = kinds.add_parser("weeks", help="workbooks of every county of the reference lists that hold (WAREHOUSE_REFERENCE)")
    about.add_argument("folder", type=Path)
    about.add_argument("--weeks", type=int, default=26)
    about.add_argument("--counties", type=int, help="the first so many, in order of their codes")
    about.add_argument("--year", type=int, default=2020)
    about.add_argument("--payouts", type=int, default=90, help="subsidy payouts per county and week")
    about.add_argument("--clean", action="store_true", help="without the faults that counties make")
    about = kinds.add_parser("payouts", help="one payout list, .xlsx or .csv")
    about.add_argument("file", type=Path)
    about.add_argument("--rows", type=int, default=100_000)
    about = kinds.add_parser("history", help="repeat what this home has published into the past, in the database; no files are made")
    about.add_argument("--weeks", type=int, default=260, help="weeks of history wanted, those published included")
    given = parser.parse_args(arguments)
    try:
        print(globals()[f"_{given.kind}"](given))
    except ValueError as error:
        parser.error(str(error))
    return 0


def _reference(given: argparse.Namespace) -> str:
    from demo.reference import write_reference

    return f"export WAREHOUSE_REFERENCE={write_reference(given.folder, given.counties, given.townships, given.villages).resolve()}"


def _weeks(given: argparse.Namespace) -> str:
    from demo.generate import write_demo

    demo = write_demo(given.folder, given.weeks, counties=given.counties, year=given.year, payouts=given.payouts, faults=not given.clean, truth=False)
    return f"{len(demo.files)} files: {demo.backfill} and {demo.last_week}"


def _payouts(given: argparse.Namespace) -> str:
    from demo import payouts

    if given.file.suffix not in (".xlsx", ".csv"):
        raise ValueError("a payout list is an .xlsx or a .csv file")
    write = payouts.write_xlsx if given.file.suffix == ".xlsx" else payouts.write_csv
    return f"{given.rows:,} rows: {write(given.file, given.rows)}"


def _history(given: argparse.Namespace) -> str:
    from demo.history import deepen
    from warehouse import database
    from warehouse.settings import Settings

    settings = Settings.from_environment()
    database.start(settings)
    with database.connect(settings, autocommit=True) as connection:
        first, last, weeks = deepen(connection, given.weeks)
    return f"{weeks} weeks of history, {first} to {last}"


if __name__ == "__main__":
    sys.exit(main())
