"""What each column of a fact is made of: a field of the form, other columns, or the slice the row stands in."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import psycopg

from ingestion.contract_model import Contracts, Field
from ingestion.contracts import contracts
from warehouse.dbt_sources import column_name, declared, fact_columns, fields, forms_of_marts, marts

FRAME = ("week", "as_of_date", "county_code", "carried_from_week", "submission_id", "source_row_no")


@dataclass(frozen=True)
class Origin:
    """One column of a fact. ``inputs`` are columns of the same fact, in the order of the formula."""

    mart: str
    column: str
    form: str
    kind: str  # cell | rate | formula | listed | increment | frame
    field: Field | None
    is_key: bool
    sql_type: str
    description: str
    formula: str | None = None
    inputs: tuple[str, ...] = ()

    @property
    def personal(self) -> bool:
        return bool(self.field and self.field.personal)

    @property
    def adds_up(self) -> bool:
        """Whether a total over rows means anything: counts and amounts, not texts, dates, shares or prices."""
        if self.kind == "cell":
            return self.field.numeric and self.field.type != "percent" and self.field.kind in ("stock", "cumulative", "constant", "flow")
        return self.kind in ("increment", "rate", "formula") and self.sql_type in ("integer", "numeric", "bigint")


@functools.cache
def origins(mart: str) -> dict[str, Origin]:
    """Every column of a fact by name. Raises KeyError for a mart that is no fact."""
    return _of(contracts(), mart)


def _of(of: Contracts, mart: str) -> dict[str, Origin]:
    code = forms_of_marts()[mart]
    about, form = marts()["facts"][code], of.form(code)
    own, rates, formulas = fields(of, code), declared(form), about.get("formulas", {})
    key, found = column_name(form.key), {}
    for column in fact_columns(of, code):
        name = column["name"]
        field = own.get(name)
        kind, formula, inputs = "cell", None, ()
        if name in FRAME:
            kind = "frame"
        elif name in rates:
            kind, inputs = "rate", rates[name]
            formula = f"{inputs[0]} / {inputs[1]}"
        elif name in formulas:
            kind, inputs = ("listed" if "weeks" in formulas[name] else "formula"), tuple(formulas[name]["inputs"])
            formula = formulas[name].get("formula") or f"{formulas[name]['weeks']} week that lists {inputs[0]}"
        elif field is None and name.endswith("_increment"):
            kind, inputs = "increment", (name.removesuffix("_increment"),)
            formula = f"{inputs[0]} - {inputs[0]} of the accepted week before"
        found[name] = Origin(mart, name, code, kind, field, name == key, column["data_type"], column["description"], formula, inputs)
    return found


def key_of(mart: str) -> Origin:
    return next(o for o in origins(mart).values() if o.is_key)


def note_origins(connection: psycopg.Connection) -> None:
    """Bring ``store.mart_column``, which ``quality.trace_cell`` reads, to what the contracts say. In the caller's transaction."""
    rows = {
        (
            o.mart, o.column, o.form, {"rate": "formula", "listed": "formula"}.get(o.kind, o.kind), o.field.name if o.field else None,
            o.is_key, o.personal, o.formula, o.inputs,
        )
        for mart in forms_of_marts()
        for o in origins(mart).values()
    }  # fmt: skip
    names = "mart, column_name, form, kind, field, is_key, personal, formula, inputs"
    have = {(*row[:-1], tuple(row[-1])) for row in connection.execute(f"select {names} from store.mart_column")}
    if rows == have:
        return
    connection.execute("delete from store.mart_column")
    with connection.cursor() as cursor:
        cursor.executemany(
            f"insert into store.mart_column ({names}) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [(*row[:-1], list(row[-1])) for row in rows],
        )
