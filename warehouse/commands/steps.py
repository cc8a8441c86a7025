"""The steps of the way of the data, one command each, and all of them in order."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path

import click

from warehouse.commands.base import (
    AS_JSON,
    FILE,
    FOLDER,
    NOW,
    connected,
    main,
    progress_shown,
    settings_here,
    tell,
    tell_record,
    time_given,
)
from warehouse.settings import WarehouseError


@main.command()
@click.argument("directory", type=FOLDER)
@click.option("--arrivals", type=FILE, help="CSV (path, received_at): which files, in which order, received when. Paths are relative to DIRECTORY.")
@AS_JSON
def receive(directory: Path, arrivals: Path | None, as_json: bool) -> None:
    """Register the files of a folder and keep them in the archive.

    \b
    Examples: warehouse receive ~/inbox
              warehouse receive submissions --arrivals submissions/2020-W22/arrivals.csv
    """
    from ingestion.receive import receive as step

    with connected() as (connection, settings), progress_shown() as progress:
        result = step(connection, settings, directory, arrivals=arrivals, progress=progress)
    tell_record(as_json, result)


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--contracts", "folder", type=FOLDER, help="Read by the contracts in this folder (Open Data Contract Standard v3) instead of the project's own.")
@NOW
@AS_JSON
def check(file: Path, folder: Path | None, now: str | None, as_json: bool) -> None:
    """Read one FILE and list its faults in Chinese, with sheet and cell. Needs no database; exit code 1 on errors.

    \b
    Examples: warehouse check 周报.xlsx
              warehouse check 统计表.xlsx --contracts ~/contracts
    """
    from warehouse.commands import check as command

    settings = settings_here()
    result = command.check(file, time_given(now, settings) or dt.datetime.now(settings.timezone), folder)
    tell(as_json, result, command.describe(result))
    sys.exit(1 if command.has_errors(result) else 0)


@main.command()
@AS_JSON
def load(as_json: bool) -> None:
    """Read, check and load every file that waits, in order of arrival.

    \b
    Example: warehouse load
    """
    from ingestion.load import load as step

    with connected() as (connection, settings), progress_shown() as progress:
        result = step(connection, settings, progress=progress)
    tell_record(as_json, result)


@main.command()
@NOW
@click.option("--full-refresh", is_flag=True, help="Make all candidate rows again, not only those of pending slices.")
@AS_JSON
def build(now: str | None, full_refresh: bool, as_json: bool) -> None:
    """Bring the candidate marts up to date (one dbt build).

    \b
    Examples: warehouse build
              warehouse build --full-refresh --now 2020-06-16T12:00
    """
    from warehouse import database
    from warehouse.build import build as step

    settings = settings_here()
    database.start(settings)
    with progress_shown() as progress:
        result = step(settings, now=time_given(now, settings), full_refresh=full_refresh, progress=progress)
    tell_record(as_json, result)


@main.command()
@NOW
@click.option("--again", is_flag=True, help="Judge the weeks of --from and --to once more, each by the rules of its own date.")
@click.option("--from", "first", metavar="WEEK", help="First week to judge again, such as 2020-W22.")
@click.option("--to", "last", metavar="WEEK", help="Last week to judge again.")
@click.option("--rules-of", metavar="DATE", help="Judge them by the rules and severities of this date instead.")
@AS_JSON
def judge(now: str | None, again: bool, first: str | None, last: str | None, rules_of: str | None, as_json: bool) -> None:
    """Run the rules over the candidate marts. Exit code 4 if they block a publication.

    \b
    Examples: warehouse judge
              warehouse judge --again --from 2020-W22 --to 2020-W24 --rules-of 2020-06-30
    """
    from expectations.judge import judge as step
    from warehouse.commands.quality import date, span

    if not again and (first or last or rules_of):
        raise WarehouseError("--from, --to and --rules-of go with --again.")
    weeks, rules_on = (span(first, last) if again else None), date(rules_of)
    with connected() as (connection, settings), progress_shown() as progress:
        result = step(connection, settings, now=time_given(now, settings), again=weeks, rules_on=rules_on, progress=progress)
    tell_record(as_json, result)
    sys.exit(4 if getattr(result, "verdict", None) == "blocked" else 0)


@main.command()
@click.option("--approve-as", metavar="NAME", help="Who approves; written into the ledger.")
@click.option("--check-run", type=int, help="Publish on the strength of this run of the checks (default: the last).")
@click.option("--note", help="A note for the ledger.")
@AS_JSON
def publish(approve_as: str | None, check_run: int | None, note: str | None, as_json: bool) -> None:
    """Make the judged candidates visible to readers, in one step. Exit codes: 0 published, 3 nothing new, 4 blocked.

    \b
    Example: warehouse publish --approve-as 李科长
    """
    from warehouse import cycle as steps
    from warehouse.approval import require_current
    from warehouse.publication import publish as step

    with connected() as (connection, settings):
        if check_run is None:
            check_run = connection.execute("select max(check_run_id) from quality.check_run where verdict is not null").fetchone()[0]
        if check_run is None:
            raise WarehouseError("Nothing has been judged yet: run `warehouse build` and `warehouse judge` first.")
        run = steps.check_run(connection, check_run)
        if run["verdict"] == "blocked":
            tell(as_json, run, f"Blocked: {run['blocking_zh']}")
            sys.exit(4)
        require_current(connection, check_run)
        publication = step(connection, settings, check_run_id=check_run, approved_by=approve_as or steps.UNREVIEWED, note=note)
        latest = steps.latest_publication(connection)
    if publication is None:
        tell(as_json, {"publication": None}, "Nothing to publish: no figure changed since the last publication.")
        sys.exit(3)
    tell(as_json, latest, f"Published: number {latest['publication']}, week {latest['week']}, {latest['rows_opened']:,} rows opened, {latest['rows_closed']:,} closed.")


@main.command()
@click.option("--week", help="Week of the table, such as 2020-W24 (default: the newest judged).")
@AS_JSON
def status(week: str | None, as_json: bool) -> None:
    """Last publication, reporting states by county, files that wait, findings that are open.

    \b
    Example: warehouse status --week 2020-W24
    """
    from warehouse.commands import status as command

    with connected() as (connection, _):
        state = command.status(connection, week)
    tell(as_json, state, command.describe(state))


@main.command()
@click.option("--inbox", type=FOLDER, help="Folder to take files from; it is left as it is (default: the home's inbox, which is emptied).")
@click.option("--arrivals", type=FILE, help="CSV (path, received_at); paths are relative to the inbox folder.")
@click.option("--now", metavar="TIME", help="Judge deadlines as of this time (default: the last arrival of --arrivals, else now).")
@click.option("--approve-as", metavar="NAME", help="Who approves the publication; written into the ledger.")
@AS_JSON
def cycle(inbox: Path | None, arrivals: Path | None, now: str | None, approve_as: str | None, as_json: bool) -> None:
    """Receive, load, build, judge, publish, report: everything once.

    \b
    Exit codes: 0 a publication was made, 3 nothing to publish, 4 blocked by the checks, 2 a fault to mend, 1 unexpected.
    Examples: warehouse cycle
              warehouse cycle --inbox submissions --arrivals submissions/2020-W22/arrivals.csv
    """
    from warehouse import cycle as steps

    settings = settings_here()
    with progress_shown() as progress:
        result = steps.run_cycle(
            settings, inbox=inbox, arrivals=arrivals, now=time_given(now, settings), approve_as=approve_as, progress=progress
        )
    tell(as_json, result.as_json(), steps.describe(result))
    sys.exit(result.exit_code)


@main.command()
@click.option("--county", required=True, help="The county's code.")
@click.option("--week", required=True, help="Reporting week, such as 2020-W24.")
@click.option("--blank", is_flag=True, help="Leave out what the county reported last; needs no database.")
@click.option("--out", type=click.Path(path_type=Path), help="File to write, or the folder for it (default: COUNTY-WEEK.xlsx here).")
@AS_JSON
def template(county: str, week: str, blank: bool, out: Path | None, as_json: bool) -> None:
    """Write the workbook that a county fills for a week, with the keys of its last accepted week.

    \b
    Example: warehouse template --county 451002 --week 2020-W27
    """
    from ingestion.contracts import contracts
    from ingestion.reference import codes
    from ingestion.template import accepted_before, write_template

    name = f"{county}-{week}.xlsx"
    target = out / name if out and out.is_dir() else out or Path(name)
    try:
        if blank:
            write_template(target, county, week, contracts(), codes())
        else:
            with connected() as (connection, _):
                write_template(target, county, week, contracts(), codes(), accepted_before(connection, county, week, contracts()))
    except (KeyError, ValueError) as error:
        raise WarehouseError(f"There is no county {county} in force in week {week}, or no such week.") from error
    tell(as_json, {"file": str(target)}, f"Written: {target}")


@main.command()
@click.argument("week")
@click.option("--county", help="One county only, by its code.")
@AS_JSON
def reload(week: str, county: str | None, as_json: bool) -> None:
    """Mark an earlier WEEK for building again; the next cycle (or Airflow's next build) publishes what comes out differently.

    \b
    Example: warehouse reload 2020-W24 && warehouse cycle
    """
    from warehouse.cycle import mark_week

    with connected() as (connection, _):
        marked = mark_week(connection, week, county)
    tell(as_json, {"week": week, "slices": marked}, f"{marked:,} slices of {week} will be built again: run `warehouse cycle`, or trigger build_and_publish.")
