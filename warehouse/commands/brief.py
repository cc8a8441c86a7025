"""`warehouse brief`: the reports that write themselves."""

from __future__ import annotations

from pathlib import Path

import click

from warehouse.commands.base import AS_JSON, connected, main, tell
from warehouse.settings import WarehouseError


@main.command()
@click.option("--publication", type=int, help="Write it from this publication (default: the latest, or the newest of --week).")
@click.option("--week", help="A weekly report, of this week; with --month, --quarter or --half-year the last week it speaks of.")
@click.option("--month", "kind", flag_value="month", help="The month that the week's Sunday lies in.")
@click.option("--quarter", "kind", flag_value="quarter", help="The quarter.")
@click.option("--half-year", "kind", flag_value="half-year", help="The half-year (default without --week).")
@click.option("--kind", "report", default="work", show_default=True, help="Which report of the outline: work, or epidemic (影响分析, weekly).")
@click.option("--county", help="One county only, by its code.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder to write to (default: WAREHOUSE_HOME/reports/brief/…).")
@AS_JSON
def brief(publication: int | None, week: str | None, kind: str | None, report: str, county: str | None, out: Path | None, as_json: bool) -> None:
    """Write the 工作情况汇报 as .docx and .html; every figure from one publication, with its address.

    \b
    Examples: warehouse brief --publication 3
              warehouse brief --week 2020-W24
              warehouse brief --week 2020-W24 --kind epidemic
              warehouse brief --quarter --county 451026
    Text that people write lies in WAREHOUSE_HOME/texts/<period>/*.md.
    """
    from reporting.addresses import NoAddress
    from reporting.brief import write_brief

    kind = kind or ("week" if week or report == "epidemic" else "half-year")
    with connected() as (connection, settings):
        try:
            done = write_brief(connection, settings, report=report, publication=publication, week=week, kind=kind, county=county, out=out)
        except NoAddress as error:
            raise WarehouseError(f"The report was not written: {error}") from error
    told = {
        "docx": str(done.docx), "html": str(done.html), "publication": done.publication, "week": done.week, "figures": done.figures,
        "to_write": list(done.to_write),
    }  # fmt: skip
    lines = [f"Written: {done.docx}", f"         {done.html}", f"Publication {done.publication}, week {done.week}, {done.figures} sources."]
    lines += ["Not written yet by people (optional but for next_steps):", *(f"  {path}" for path in done.to_write)] if done.to_write else []
    tell(as_json, told, "\n".join(lines))
