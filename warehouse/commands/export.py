"""`warehouse export`: a mart of any publication as Parquet, CSV or .xlsx."""

from __future__ import annotations

from pathlib import Path

import click

from warehouse.commands.base import AS_JSON, connected, main, tell


@main.command()
@click.option("--mart", required=True, help="A table of schema marts, such as fct_employment_weekly or employment_overview.")
@click.option("--publication", type=int, help="As published then (default: the latest).")
@click.option("--format", "kind", type=click.Choice(["parquet", "csv", "xlsx"]), help="Default: what the file's name ends with.")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="File to write.")
@AS_JSON
def export(mart: str, publication: int | None, kind: str | None, out: Path, as_json: bool) -> None:
    """Write a mart to a file: numbers as numbers, text never as a formula, Chinese headings in .xlsx.

    \b
    Examples: warehouse export --mart employment_overview --out 就业.xlsx
              warehouse export --mart fct_subsidy_payment --publication 3 --out payouts.parquet
    """
    from reporting.export import write_export

    with connected() as (connection, _):
        done = write_export(connection, mart, out, kind=kind, publication=publication)
    tell(as_json, done, f"Written: {done['file']} ({done['rows']:,} rows of marts.{mart}, publication {done['publication']})")
