"""The commands of auditors and approvers: trace, publications, revisions, verify, withdraw, release."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from warehouse.commands.base import AS_JSON, connected, main, tell
from warehouse.settings import WarehouseError


@main.command()
@click.option("--mart", required=True, help="The fact, such as fct_employment_weekly.")
@click.option("--column", required=True, help="Its column.")
@click.option("--key", required=True, help="Key of the row: 451002001, or 451002/mango with its county; '*' for the total.")
@click.option("--week", help="Reporting week, such as 2020-W24 (default: the publication's).")
@click.option("--county", help="County code; with --key '*' the county's total, without it the city's.")
@click.option("--publication", type=int, help="As published then (default: the latest).")
@click.option("--export", "target", type=click.Path(path_type=Path), help="Copy the original there, an .xlsx opening at the cell.")
@click.option("--open", "opens", is_flag=True, help="Open the original at the cell.")
@click.option("--source", default=1, show_default=True, help="Which of several cells to export or open.")
@AS_JSON
def trace(mart: str, column: str, key: str, week: str | None, county: str | None, publication: int | None, target: Path | None, opens: bool, source: int, as_json: bool) -> None:
    """Where a published figure comes from: file, sheet, cell, what stood there, how it was worked out, what it was checked by.

    \b
    Examples: warehouse trace --mart fct_employment_weekly --week 2020-W24 --key 451002001 --column employed_away
              warehouse trace --mart fct_fiscal_fund_weekly --key '*' --column spending_rate --json
              warehouse trace --mart fct_employment_weekly --key 451002001 --column employed_away --open
    """
    from warehouse.commands import trace as command
    from warehouse.trace import trace as step
    from warehouse.trace.opening import export

    with connected() as (connection, settings):
        found = step(connection, settings, mart=mart, column=column, key=key, week=week, county=county, publication=publication)
        told = found.as_json()
        if target or opens:
            cells = list(found.root.cells())
            if not 1 <= source <= len(cells):
                raise WarehouseError(f"The figure has {len(cells)} cells; --source must be one of them.")
            path, cell = export(settings, cells[source - 1], target), cells[source - 1]
            told["opened"] = {"path": str(path), "sheet": cell.sheet, "cell": cell.cell}
    text = command.describe(told)
    if "opened" in told:
        text += f"\n原件    {told['opened']['path']}，工作表“{told['opened']['sheet']}”，单元格 {told['opened']['cell']}"
    tell(as_json, told, text)
    if opens:
        click.launch(told["opened"]["path"])


@main.command()
@AS_JSON
def publications(as_json: bool) -> None:
    """List the publication ledger, newest first.

    \b
    Example: warehouse publications
    """
    from warehouse.commands import trace as command

    with connected() as (connection, _):
        rows = command.publications(connection)
    tell(as_json, {"publications": rows}, command.describe_publications(rows))


@main.command()
@click.option("--publication", type=int, help="Number of the publication (default: the latest).")
@AS_JSON
def revisions(publication: int | None, as_json: bool) -> None:
    """What a publication changed in weeks already published: figure by figure, from what to what, and why.

    \b
    Example: warehouse revisions --publication 3
    """
    from warehouse.commands import trace as command
    from warehouse.publication import revisions as step

    with connected() as (connection, _):
        rows = step(connection, publication)
    tell(as_json, {"revisions": rows}, command.describe_revisions(rows))


@main.command()
@AS_JSON
def verify(as_json: bool) -> None:
    """Check that neither the ledger, a published row nor an archived original was altered. Exit code 1 if one was.

    \b
    Example: warehouse verify
    """
    from warehouse.commands import trace as command

    with connected() as (connection, settings):
        faults = command.verify(connection, settings)
    tell(as_json, {"faults": faults}, "\n".join(faults) or "Nothing was altered: ledger, published rows and originals agree.")
    sys.exit(1 if faults else 0)


@main.command()
@click.option("--reason", required=True, help="Why; written into the ledger.")
@click.option("--by", required=True, metavar="NAME", help="Who withdraws.")
@AS_JSON
def withdraw(reason: str, by: str, as_json: bool) -> None:
    """Take the latest publication back. What came with it is held back until it is released or superseded.

    \b
    Example: warehouse withdraw --reason 误发布 --by 李科长
    """
    from warehouse.publication import holds
    from warehouse.publication import withdraw as step

    with connected() as (connection, settings):
        publication = step(connection, settings, reason=reason, by=by)
        held = len(holds(connection))
    told = {"publication": publication.publication_id, "restores": publication.restores, "week": publication.week, "held": held}
    text = f"Publication {publication.publication_id}: the content of {publication.restores} stands again; {held} submissions are held back (warehouse release)."
    tell(as_json, told, text)


@main.command()
@click.option("--submission", "numbers", type=int, multiple=True, help="Number of a held submission; repeat for several (default: all).")
@click.option("--by", metavar="NAME", help="Who releases.")
@click.option("--reason", help="Why.")
@click.option("--list", "only_list", is_flag=True, help="Show what is held back and release nothing.")
@AS_JSON
def release(numbers: tuple[int, ...], by: str | None, reason: str | None, only_list: bool, as_json: bool) -> None:
    """Let submissions through that a withdrawal held back; the next cycle publishes them.

    \b
    Examples: warehouse release --list
              warehouse release --by 李科长 --reason 核实无误
    """
    from warehouse.publication import holds
    from warehouse.publication import release as step

    with connected() as (connection, _):
        if only_list:
            held = holds(connection)

            def line(h: dict) -> str:
                return f"{h['submission_id']}  {h['form']} {h['county_code']} {h['week']} v{h['version']}  {h['file']}  {h['reason']}" + (" (superseded)" if h["is_superseded"] else "")

            tell(as_json, {"held": held}, "\n".join(map(line, held)) or "Nothing is held back.")
            return
        released = step(connection, by=by or "", reason=reason, submission_ids=list(numbers) or None)
    tell(as_json, {"released": released}, f"{len(released)} submissions released: run `warehouse cycle`.")
