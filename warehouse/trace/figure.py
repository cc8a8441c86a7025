"""Trace a published figure to its cells, and work it out again from them."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from ingestion.contracts import contracts
from ingestion.expressions import expression
from warehouse.publication.ledger import Publication, latest
from warehouse.settings import Settings, WarehouseError
from warehouse.trace.checks import checks
from warehouse.trace.origins import Origin, key_of, origins
from warehouse.trace.sources import Sources, convert
from warehouse.trace.tree import Node, plain

TOTAL = ("*", "合计")
CANDIDATES = 12  # so many are named where a key is not unique
SIX_PLACES = Decimal("0.000001")


@dataclass(frozen=True)
class Trace:
    """A figure's address. ``root`` is the tree of its inputs, ``rules`` what they were checked by, ``row`` the mart row (None for a total)."""

    mart: str
    column: str
    description: str
    value: Any
    publication: Publication
    county_code: str | None
    week: str | None
    key: str
    row: dict[str, Any] | None
    model: dict[str, Any]
    root: Node
    rules: list[dict[str, Any]]

    def as_json(self) -> dict[str, Any]:
        """``value``, ``publication``, ``sources`` (a flat list of cells), ``inputs`` (the tree), ``rules``, and the address itself."""
        about = self.publication
        return {
            "value": plain(self.value),
            "mart": self.mart, "column": self.column, "description": self.description,
            "county_code": self.county_code, "week": self.week, "key": self.key,
            "publication": {
                "number": about.publication_id, "published_at": about.published_at.isoformat(), "week": about.week, "trigger": about.trigger,
                "approved_by": about.approved_by, "note": about.note, "check_run_id": about.check_run_id, "code_version": about.code_version,
                "hash": about.hash,
            },
            "row": self.row and plain(self.row),
            "model": self.model,
            "sources": [c.as_json() for c in self.root.cells()],
            "inputs": self.root.as_json(),
            "rules": plain(self.rules),
        }  # fmt: skip


def trace(
    connection: psycopg.Connection,
    settings: Settings,
    *,
    mart: str,
    column: str,
    key: str,
    week: str | None = None,
    county: str | None = None,
    publication: int | None = None,
) -> Trace:
    """Where a published figure comes from.

    ``key`` is the row's own key (township, industry, project …), '451002/mango' with its county, or '*' for the total
    over a county's rows (over all rows without ``county``). ``week`` defaults to the publication's; the rectification
    ledger has one row a finding, and a week there picks the last publication of that week. Raises WarehouseError for
    an address that names nothing, or several rows.
    """
    try:
        about, own_key = origins(mart), key_of(mart)
    except KeyError as error:
        raise WarehouseError(f"There is no fact {mart!r} to trace. Dimensions come from the reference data and the counties' own lists.") from error
    if column not in about:
        raise WarehouseError(f"{mart} has no column {column!r}; it has {', '.join(about)}.")
    accumulating = "week" not in about
    ledger = _publication(connection, publication, week if accumulating else None)
    week = None if accumulating else week or ledger.week
    if county is None and "/" in key and key.split("/", 1)[0].isdigit():
        county, key = key.split("/", 1)
    total = key in TOTAL
    rows = _rows(connection, mart, ledger.publication_id, week=week, county=county, key=None if total else (own_key.column, key))
    if not rows:
        raise WarehouseError(_nothing(mart, ledger, week, county, key))
    builder = _Builder(connection, settings, mart, ledger)
    if total:
        root = builder.total(about[column], rows)
    else:
        if len(rows) > 1:
            places = ", ".join(f"{r['county_code']}/{key}" for r in rows[:CANDIDATES])
            raise WarehouseError(f"{len(rows)} rows of {mart} have the key {key}: give --county, or one of {places} as --key.")
        builder.prepare(rows)
        root = builder.node(about[column], rows[0])
        county = rows[0]["county_code"]
    fields = {c.field for c in root.cells()} | ({about[column].field.name} if about[column].field else set())
    return Trace(
        mart, column, about[column].description, root.value, ledger, county, week, key, None if total else rows[0], _model(about[column]),
        root, checks(connection, ledger, list(root.cells()), fields),
    )  # fmt: skip


def _publication(connection: psycopg.Connection, number: int | None, week: str | None) -> Publication:
    if number is None and week is not None:
        (number,) = connection.execute("select max(publication_id) from store.publication where week = %s", [week]).fetchone()
        if number is None:
            raise WarehouseError(f"No publication was made of week {week}.")
    found = latest(connection, number)
    if found is None:
        raise WarehouseError(f"There is no publication {number}." if number is not None else "Nothing has been published yet.")
    return found


def _rows(
    connection: psycopg.Connection, mart: str, number: int, *, week: str | None = None, county: str | None = None, key: tuple[str, str] | None = None,
    before: str | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Rows of a mart in a publication. ``before``: of the last week of the same year before it that is a county's own."""
    conditions = [sql.SQL("opened_in <= %(n)s and (closed_in is null or closed_in > %(n)s)")]
    conditions += [sql.SQL("week = %(week)s")] if week else []
    conditions += [sql.SQL("county_code = %(county)s")] if county else []
    conditions += [sql.SQL("{}::text = %(key)s").format(sql.Identifier(key[0]))] if key else []
    table = sql.Identifier("store", mart)
    if before:
        conditions.append(
            sql.SQL(
                """week = (select max(week) from {} where county_code = %(county)s and week < %(before)s and left(week, 4) = left(%(before)s, 4)
                           and carried_from_week is null and opened_in <= %(n)s and (closed_in is null or closed_in > %(n)s))"""
            ).format(table)
        )
    query = sql.SQL("select * from {} where {} order by county_code, submission_id, source_row_no").format(table, sql.SQL(" and ").join(conditions))
    values = {"n": number, "week": week, "county": county, "key": key and key[1], "before": before}
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(query, values).fetchall()
    return [{name: value for name, value in row.items() if name not in ("opened_in", "closed_in")} for row in found]


def _nothing(mart: str, ledger: Publication, week: str | None, county: str | None, key: str) -> str:
    where = "".join(f", {name} {value}" for name, value in (("week", week), ("county", county)) if value)
    return f"Publication {ledger.publication_id} has no row of {mart} with key {key}{where}."


def _model(origin: Origin) -> dict[str, Any]:
    star = contracts().form(origin.form).star
    code = origin.form.lower()
    return {
        "path": f"dbt_project/models/marts/{star}/{origin.mart}.sql",
        "inputs": ["dbt_project/models/intermediate/int_reporting__slice.sql", f"dbt_project/models/staging/{code}/stg_{code}__rows.sql"],
        "formula": origin.formula or origin.column,
        "columns": list(origin.inputs),
    }


class _Builder:
    """Builds trees for rows of one mart in one publication."""

    def __init__(self, connection: psycopg.Connection, settings: Settings, mart: str, ledger: Publication):
        self.connection, self.mart, self.ledger = connection, mart, ledger
        self.about, self.key = origins(mart), key_of(mart).column
        self.form = next(iter(self.about.values())).form
        self.sources = Sources(connection, settings)
        self._before: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}

    def prepare(self, rows: list[dict[str, Any]]) -> None:
        self.sources.fetch(self.form, [(r["submission_id"], r["source_row_no"]) for r in rows])

    # One row

    def node(self, origin: Origin, row: dict[str, Any]) -> Node:
        """The tree of one figure; its row must have been prepared."""
        node = self._node(origin, row)
        carried = row.get("carried_from_week")
        if carried and origin.kind == "cell":
            node = self._new("carried", origin, row, row[origin.column], f"carried forward from {carried}", [node])
        return node

    def _node(self, origin: Origin, row: dict[str, Any]) -> Node:
        value = row[origin.column]
        if origin.kind == "cell":
            source = self.sources.cell(origin, row["submission_id"], row["source_row_no"])
            return Node("cell", origin.column, value, row["county_code"], source.week, str(row[self.key]), source=source)
        if origin.kind == "frame":
            node = self._new("frame", origin, row, value, FRAME_FORMULAS.get(origin.column))
            if "week" not in row and origin.column == "as_of_date":
                node.formula = "the Sunday of the publication's week"
            elif origin.column != "as_of_date" or not row["carried_from_week"]:
                node.source = self.sources.frame(origin, row["submission_id"], value)
            return node
        if origin.kind == "listed":
            return self._listed(origin, row)
        if origin.kind == "increment":
            return self._increment(origin, row)
        inputs = [self.node(self.about[name], row) for name in origin.inputs]
        return self._new(origin.kind, origin, row, value, origin.formula, inputs)

    def _new(self, kind: str, origin: Origin, row: dict[str, Any], value: Any, formula: str | None = None, inputs: list[Node] | None = None) -> Node:
        return Node(kind, origin.column, value, row["county_code"], row.get("week"), str(row[self.key]), formula, inputs or [])

    def _increment(self, origin: Origin, row: dict[str, Any]) -> Node:
        field = self.about[origin.inputs[0]]
        if row["carried_from_week"]:
            return self._new("increment", origin, row, row[origin.column], "not known: the week is carried forward")
        now = self.node(field, row)
        before = self._week_before(row["county_code"], row["week"])
        if before:
            earlier = before.get(str(row[self.key]))
            week = next(iter(before.values()))["week"]
            if earlier:
                self.prepare([earlier])
            last = self.node(field, earlier) if earlier else Node("missing", field.column, None, row["county_code"], week, str(row[self.key]))
            return self._new("increment", origin, row, row[origin.column], f"{field.column} - {field.column} of {week}", [now, last])
        first = row["week"].endswith("W01")
        text = f"{field.column}: the year's first week" if first else "not known: no accepted week before it in the year"
        return self._new("increment", origin, row, row[origin.column], text, [now] if first else [])

    def _week_before(self, county: str, week: str) -> dict[str, dict[str, Any]]:
        if (county, week) not in self._before:
            rows = _rows(self.connection, self.mart, self.ledger.publication_id, county=county, before=week)
            self._before[county, week] = {str(r[self.key]): r for r in rows}
        return self._before[county, week]

    def _listed(self, origin: Origin, row: dict[str, Any]) -> Node:
        """The cell of the key in the first or last week that names it."""
        value, key = row[origin.column], self.about[origin.inputs[0]]
        place = (row["submission_id"], row["source_row_no"])
        if value != row["last_seen_week"]:
            place = self._listing(value, row) or place
        self.sources.fetch(self.form, [place])
        source = self.sources.cell(key, *place)
        cell = Node("cell", key.column, row[key.column], row["county_code"], source.week, str(row[self.key]), source=source)
        return self._new("listed", origin, row, value, origin.formula, [cell])

    def _listing(self, week: str, row: dict[str, Any]) -> tuple[int, int] | None:
        """Where a week's submission names the row: of those the publication is made of, else the newest loaded by then."""
        return self.connection.execute(
            sql.SQL(
                """select r.submission_id, r.row_no from raw.{} r join intake.submission s using (submission_id)
                   left join store.publication_submission p
                       on p.submission_id = s.submission_id and p.opened_in <= %(n)s and (p.closed_in is null or p.closed_in > %(n)s)
                   where s.form = %(form)s and s.county_code = %(county)s and s.week = %(week)s and s.state <> 'returned' and r.{} = %(key)s
                     and s.loaded_at <= %(at)s
                   order by p.submission_id is null, s.version desc limit 1"""
            ).format(sql.Identifier(self.form.lower()), sql.Identifier(self.about[self.key].field.name)),
            {
                "n": self.ledger.publication_id, "form": self.form, "county": row["county_code"], "week": week, "key": row[self.key],
                "at": self.ledger.published_at,
            },
        ).fetchone()  # fmt: skip

    # Totals

    def total(self, origin: Origin, rows: list[dict[str, Any]]) -> Node:
        """The sum over rows, by county where there are several; a rate's total is the ratio of its sums."""
        if not origin.adds_up:
            raise WarehouseError(f"{origin.mart}.{origin.column} does not add up ({origin.description}); trace one row of it by its key.")
        self.prepare(rows)
        by_county: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            by_county[row["county_code"]].append(row)
        week = rows[0].get("week")
        if origin.kind in ("rate", "formula"):
            parts = [self.total(self.about[name], rows) for name in origin.inputs if self.about[name].adds_up]
            if len(parts) == len(origin.inputs):
                return self._of_sums(origin, parts, week)
        counties = [self._sum(origin, [self.node(origin, r) for r in part], county, week) for county, part in by_county.items()]
        return counties[0] if len(counties) == 1 else self._sum(origin, counties, None, week)

    def _of_sums(self, origin: Origin, parts: list[Node], week: str | None) -> Node:
        node = Node("ratio" if origin.kind == "rate" else "formula", origin.column, None, parts[0].county_code, week, "*", origin.formula, parts)
        node.value = _worked_out(node, [p.value for p in parts], self.form)
        return node

    @staticmethod
    def _sum(origin: Origin, inputs: list[Node], county: str | None, week: str | None) -> Node:
        return Node("sum", origin.column, _sum([n.value for n in inputs]), county, week, "*", f"sum({origin.column})", inputs)


FRAME_FORMULAS = {
    "as_of_date": "the Sunday of the reporting week",
    "week": "the reporting week of the sheet's 截至日期",
    "county_code": "the county of the sheet's 填报单位",
    "carried_from_week": "the last week with accepted figures, where this week has none",
}


# ---------------------------------------------------------------- working it out again


def recompute(found: Trace | Node) -> Any:
    """The figure worked out again from the text of the traced cells, by the formulas of the tree.

    Raises ValueError where a cell's text does not give a value of its type.
    """
    node = found.root if isinstance(found, Trace) else found
    form = next((c.form for c in node.cells()), None)
    return _again(node, form)


def _again(node: Node, form: str | None) -> Any:
    if node.kind == "cell":
        return convert(node.source)
    if node.kind == "frame":
        return node.value
    if node.kind == "listed":
        return node.inputs[0].source.week
    return _worked_out(node, [_again(n, form) for n in node.inputs], form)


def _worked_out(node: Node, values: list[Any], form: str | None) -> Any:
    match node.kind:
        case "carried":
            return values[0]
        case "sum":
            return _sum(values)
        case "rate" | "ratio":
            above, below = values
            return None if above is None or not below else (Decimal(above) / Decimal(below)).quantize(SIX_PLACES, ROUND_HALF_UP)
        case "increment":
            if len(values) == 2:
                return None if None in values else values[0] - values[1]
            return values[0] if values else None
        case "formula":
            names = tuple(n.column for n in node.inputs)
            value = expression(node.formula, names).value(dict(zip(names, values, strict=True)))
            return value.days if isinstance(value, dt.timedelta) else value
    return None


def _sum(values: list[Any]) -> Any:
    known = [v for v in values if v is not None]
    return sum(known[1:], known[0]) if known else None
