"""The address of a figure: publication, mart, rows, the query that gives it, and the commands that lead to its cells."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field

import psycopg

from reporting.metrics import Figure, reading
from warehouse.trace.origins import origins

SHOWN = 3  # so many row-wise commands are written out; the rest differ in --county and --key


class NoAddress(Exception):
    """A figure of a report that nobody could trace: the report is not written."""


@dataclass(frozen=True)
class Address:
    """Where a figure comes from. ``trace``: arguments of `warehouse trace`; ``trace_of`` how many rows there are in all."""

    publication: int
    source: str  # schema.table, or several
    rows: int
    query: str
    trace: tuple[dict[str, str], ...] = ()
    trace_of: int = 0
    notes: tuple[str, ...] = field(default=())
    commands_of: tuple[str, ...] = ()  # of what has no cells of its own, such as reporting states: how to see it

    def __post_init__(self) -> None:
        led_to = self.trace or self.commands_of or not self.rows
        if not (self.publication and self.source and self.query.startswith("select ") and led_to):
            raise NoAddress(f"a figure without an address: {self}")

    def commands(self) -> list[str]:
        """Command lines for a shell."""
        return [
            shlex.join(["warehouse", "trace", *(part for name, value in arguments.items() for part in (f"--{name}", value)), "--publication", str(self.publication)])
            for arguments in self.trace
        ] + list(self.commands_of)


def address(connection: psycopg.Connection, figure: Figure, notes: tuple[str, ...] = ()) -> Address:
    """The address of a metric's figure. Raises NoAddress where rows contribute and none of them can be traced."""
    found, count = _trace(connection, figure) if figure.rows else ([], 0)
    if figure.rows and not found:
        raise NoAddress(f"{figure.metric.name}: {figure.rows} rows, and no command that traces them")
    return Address(figure.publication, f"marts.{figure.metric.mart}", figure.rows, figure.query, tuple(found), count, notes)


def _trace(connection: psycopg.Connection, figure: Figure) -> tuple[list[dict[str, str]], int]:
    about = figure.metric
    known = origins(about.mart)
    place = {"mart": about.mart}
    columns = [c for c in about.columns if c in known and known[c].adds_up]
    whole = not figure.of and figure.by not in about.never and not about.filter and not about.where
    if whole and about.agg == "sum" and columns and len(columns) == len([c for c in (about.value, about.over) if c]):
        if about.time == "as_of":
            county = {"county": figure.county} if figure.county else {}
            return [place | {"week": figure.week} | county | {"key": "*", "column": c} for c in columns], 1
        if about.time == "flow":
            county = {"county": figure.county} if figure.county else {}
            with reading(connection, figure.publication):
                weeks = [w for (w,) in connection.execute(f"select distinct week from marts.{about.mart} where {figure.conditions} order by 1")]
            return [place | {"week": w} | county | {"key": "*", "column": columns[0]} for w in reversed(weeks)][:SHOWN], len(weeks)
    column = columns[0] if columns else _column(figure, known)
    week = "week" if about.time != "ledger" else "null"
    with reading(connection, figure.publication):
        rows = connection.execute(
            f"select {week}, county_code, {about.key}::text from marts.{about.mart} where {figure.conditions} order by 1 desc, 2, 3 limit {SHOWN}"
        ).fetchall()
    return [place | ({"week": w} if w else {}) | {"county": c, "key": k, "column": column} for w, c, k in rows], figure.rows


def _column(figure: Figure, known: dict) -> str:
    """For what is counted: the column that decides whether a row counts, else the key."""
    about = figure.metric
    named = re.findall(r"[a-z_][a-z0-9_]*", f"{about.where or ''} {about.filter or ''} {about.value or ''}")
    return next((n for n in named if n in known and known[n].kind != "frame"), about.key)
