"""The command line: each command calls one public function and prints what came of it.

Imports are made where they are needed: `warehouse url` answers before a heavier module could be loaded.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import click

from warehouse.settings import Settings, WarehouseError

warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")  # a wheel's complaint that helps nobody

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
NOW = click.option("--now", metavar="TIME", help="Judge deadlines as of this time (ISO; city time without an offset).")
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class _Group(click.Group):
    """Commands in the order in which one meets them; faults that a person can mend end in one sentence and code 2."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except WarehouseError as error:
            click.echo(f"warehouse: {error}", err=True)
            context.exit(2)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def main() -> None:
    """County workbooks to published, traceable star schemas.

    \b
    Everything at once, with demonstration data and Airflow:
      warehouse run
    One delivery from a folder, from intake to publication:
      warehouse cycle --inbox ~/2020-W24
    State lives in WAREHOUSE_HOME (default ./var); WAREHOUSE_URL points to a PostgreSQL server of your own.
    """


@main.command()
@AS_JSON
def up(as_json: bool) -> None:
    """Start the database and bring it up to date.

    \b
    Example: warehouse up
    """
    from warehouse import database

    address = database.start(_settings())
    _out(as_json, {"url": address}, f"The database is up: {_without_password(address)}")


@main.command()
@AS_JSON
def down(as_json: bool) -> None:
    """Stop the embedded database. A server in WAREHOUSE_URL is left alone.

    \b
    Example: warehouse down
    """
    from warehouse.embedded import EmbeddedServer

    settings = _settings()
    if settings.url:
        raise WarehouseError("WAREHOUSE_URL names a server of your own; it is not stopped from here.")
    server = EmbeddedServer(settings)
    running = server.running()
    if running:
        server.stop()
    _out(as_json, {"stopped": running}, "The database is stopped." if running else "The database was not running.")


@main.command()
@AS_JSON
def url(as_json: bool) -> None:
    """Print the database's address, password included.

    \b
    Example: psql "$(warehouse url)"
    """
    from warehouse import database

    address = database.url(_settings())
    _out(as_json, {"url": address}, address)


@main.command(context_settings={"ignore_unknown_options": True})
@click.option("--print", "only_print", is_flag=True, help="Print the command line instead of running it.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql(only_print: bool, arguments: tuple[str, ...]) -> None:
    """Open psql on the warehouse; arguments are psql's.

    \b
    Examples: warehouse psql
              warehouse psql -c "select * from store.publication"
    """
    import os
    import shlex
    import shutil

    from warehouse import database
    from warehouse.embedded import BINARIES

    program = shutil.which("psql") or str(BINARIES / "psql")
    command = [program, database.url(_settings()), *arguments]
    if only_print:
        click.echo(shlex.join(command))
        return
    sys.stdout.flush()
    os.execv(program, command)


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

    with _connection() as (connection, settings), _progress() as progress:
        result = step(connection, settings, directory, arrivals=arrivals, progress=progress)
    _out_record(as_json, result)


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

    settings = _settings()
    result = command.check(file, _time(now, settings) or dt.datetime.now(settings.timezone), folder)
    _out(as_json, result, command.describe(result))
    sys.exit(1 if command.has_errors(result) else 0)


@main.command()
@AS_JSON
def load(as_json: bool) -> None:
    """Read, check and load every file that waits, in order of arrival.

    \b
    Example: warehouse load
    """
    from ingestion.load import load as step

    with _connection() as (connection, settings), _progress() as progress:
        result = step(connection, settings, progress=progress)
    _out_record(as_json, result)


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

    settings = _settings()
    database.start(settings)
    with _progress() as progress:
        result = step(settings, now=_time(now, settings), full_refresh=full_refresh, progress=progress)
    _out_record(as_json, result)


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
    with _connection() as (connection, settings), _progress() as progress:
        result = step(connection, settings, now=_time(now, settings), again=weeks, rules_on=rules_on, progress=progress)
    _out_record(as_json, result)
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

    with _connection() as (connection, settings):
        if check_run is None:
            check_run = connection.execute("select max(check_run_id) from quality.check_run where verdict is not null").fetchone()[0]
        if check_run is None:
            raise WarehouseError("Nothing has been judged yet: run `warehouse build` and `warehouse judge` first.")
        run = steps.check_run(connection, check_run)
        if run["verdict"] == "blocked":
            _out(as_json, run, f"Blocked: {run['blocking_zh']}")
            sys.exit(4)
        require_current(connection, check_run)
        publication = step(connection, settings, check_run_id=check_run, approved_by=approve_as or steps.UNREVIEWED, note=note)
        latest = steps.latest_publication(connection)
    if publication is None:
        _out(as_json, {"publication": None}, "Nothing to publish: no figure changed since the last publication.")
        sys.exit(3)
    _out(as_json, latest, f"Published: number {latest['publication']}, week {latest['week']}, {latest['rows_opened']:,} rows opened, {latest['rows_closed']:,} closed.")


@main.command()
@click.option("--week", help="Week of the table, such as 2020-W24 (default: the newest judged).")
@AS_JSON
def status(week: str | None, as_json: bool) -> None:
    """Last publication, reporting states by county, files that wait, findings that are open.

    \b
    Example: warehouse status --week 2020-W24
    """
    from warehouse.commands import status as command

    with _connection() as (connection, _):
        state = command.status(connection, week)
    _out(as_json, state, command.describe(state))


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

    settings = _settings()
    with _progress() as progress:
        result = steps.run_cycle(
            settings, inbox=inbox, arrivals=arrivals, now=_time(now, settings), approve_as=approve_as, progress=progress
        )
    _out(as_json, result.as_json(), steps.describe(result))
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
            with _connection() as (connection, _):
                write_template(target, county, week, contracts(), codes(), accepted_before(connection, county, week, contracts()))
    except (KeyError, ValueError) as error:
        raise WarehouseError(f"There is no county {county} in force in week {week}, or no such week.") from error
    _out(as_json, {"file": str(target)}, f"Written: {target}")


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

    with _connection() as (connection, _):
        marked = mark_week(connection, week, county)
    _out(as_json, {"week": week, "slices": marked}, f"{marked:,} slices of {week} will be built again: run `warehouse cycle`, or trigger build_and_publish.")


@main.command()
@click.option("--rule", required=True, help="The rule's id, such as EMP-001.")
@click.option("--county", required=True, help="The county's code, or * for every county.")
@click.option("--form", required=True, help="The form's code.")
@click.option("--from", "first", required=True, metavar="WEEK", help="First week it holds for, such as 2020-W24.")
@click.option("--to", "last", required=True, metavar="WEEK", help="Last week it holds for.")
@click.option("--by", required=True, help="Who grants it: role and name.")
@click.option("--reason", required=True, help="Why, in Chinese: it is shown with the violation.")
@click.option("--expires", required=True, metavar="DATE", help="Last day on which a file may be received under it.")
@click.option("--read-again", is_flag=True, help="Look again at the forms that were returned for this already.")
@AS_JSON
def waive(rule: str, county: str, form: str, first: str, last: str, by: str, reason: str, expires: str, read_again: bool, as_json: bool) -> None:
    """Set a rule aside for a county, form and period. What violates it is still shown, as waived.

    \b
    Example: warehouse waive --rule EMP-001 --county 451002 --form EMP01 --from 2020-W24 --to 2020-W26 \\
               --by "数据组 李科长" --reason "乡镇合并，基数待调整" --expires 2020-07-31 --read-again
    """
    from warehouse.commands import waivers as command

    with _connection() as (connection, settings):
        result = command.waive(
            connection, settings, rule=rule, county=county, form=form, first=first, last=last, by=by, reason=reason, expires=expires, read_again=read_again
        )
    _out(as_json, result, command.describe_waive(result))


@main.command()
@click.option("--read-again", type=int, metavar="NUMBER", help="Look again at the forms that were returned for what this waiver is about.")
@AS_JSON
def waivers(read_again: int | None, as_json: bool) -> None:
    """List the waivers and how many findings each sets aside.

    \b
    Example: warehouse waivers
    """
    from warehouse.commands import waivers as command

    with _connection() as (connection, settings):
        if read_again is not None:
            result = command.again(connection, settings, read_again)
            _out(as_json, result, command.describe_waive(result))
            return
        rows = command.waivers(connection)
    _out(as_json, {"waivers": rows}, command.describe(rows))


@main.command()
@click.option("--exit-when-published", is_flag=True, help="Stop everything once the demonstration is published (for tests and CI).")
@click.option("--weeks", default=26, show_default=True, help="Weeks of demonstration data; all but the last are the backfill.")
def run(exit_when_published: bool, weeks: int) -> None:
    """Start database and Airflow, publish demonstration data, and stay up until Ctrl-C. This is `make run`.

    \b
    Run again, it goes on from where it was. Example: WAREHOUSE_HOME=/data/warehouse warehouse run
    """
    from warehouse.run import run as supervise

    sys.exit(supervise(_settings(), exit_when_published=exit_when_published, weeks=weeks))


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def airflow(arguments: tuple[str, ...]) -> None:
    """Run the airflow command with this home's configuration; arguments are airflow's.

    \b
    Examples: warehouse airflow dags trigger reload_week --conf '{"week": "2020-W24"}'
              warehouse airflow variables set warehouse_approve always
    """
    import os

    from warehouse import deployment
    from warehouse.airflow_services import AirflowServices

    services = AirflowServices(_settings())
    if not deployment.here() and not services.home.exists():
        raise WarehouseError("Airflow has not run here yet: run `warehouse run` first.")
    environment = deployment.environment(services.settings) if deployment.here() else services.environment()
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-W", "ignore", "-m", "airflow", *arguments], environment)


@main.command("timings")
@click.option("--run", "run_id", help="A run of build_and_publish (default: the last that published).")
@AS_JSON
def show_timings(run_id: str | None, as_json: bool) -> None:
    """How the time of a week under Airflow splits: work, dbt, Great Expectations, process starts, scheduling.

    \b
    Example: warehouse timings
    """
    from warehouse import timings

    found = timings.timings(_settings(), run_id)
    _out(as_json, found, timings.describe(found))


# -- inside ----------------------------------------------------------------------------------------


def _settings() -> Settings:
    return Settings.from_environment()


class _connection:
    """A started, migrated database and an autocommit connection to it, as (connection, settings)."""

    def __enter__(self):
        from warehouse import database

        settings = _settings()
        database.start(settings)
        self.connection = database.connect(settings, autocommit=True)
        return self.connection, settings

    def __exit__(self, *_) -> None:
        self.connection.close()


def _progress():
    from warehouse.progress import Progress

    return Progress()


def _time(text: str | None, settings: Settings) -> dt.datetime | None:
    if text is None:
        return None
    from warehouse.cycle import parse_time

    return parse_time(text, settings)


def _without_password(address: str) -> str:
    from urllib.parse import urlsplit

    parts = urlsplit(address)
    return f"{parts.hostname}:{parts.port or 5432}{parts.path} (address with password: warehouse url)"


def _out(as_json: bool, data: dict, text: str) -> None:
    click.echo(json.dumps(data, ensure_ascii=False, indent=2, default=str) if as_json else text)


def _out_record(as_json: bool, record: Any) -> None:
    """A step's result: its fields as JSON, or a line each."""
    data = dataclasses.asdict(record) if dataclasses.is_dataclass(record) else dict(vars(record))
    width = max(map(len, data), default=0)
    _out(as_json, data, "\n".join(f"{name.replace('_', ' '):<{width}}  {_short(value)}" for name, value in data.items()))


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{n} {name}" for name, n in value.items()) or "none"
    if isinstance(value, (list, tuple, set)) and len(value) > 10:
        return f"{len(value):,}"
    return str(value)


from warehouse.commands import audit, backup, bi, brief, export, operations, quality, security, spark  # noqa: E402, F401 - more commands, which use what is above
