"""The candidate facts as they stand in the database, with what the contracts say of their columns."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from ingestion.contract_model import Field, Form
from warehouse.dbt_sources import accumulating, column_name, forms_of_marts


@dataclass(frozen=True)
class Mart:
    """A candidate fact, its form and its columns."""

    form: str
    name: str
    columns: frozenset[str]

    @property
    def table(self) -> str:
        return f"candidate.{self.name}"

    @property
    def weekly(self) -> bool:
        """Whether it has rows for each week; an accumulating one has a row a key over all weeks."""
        return not accumulating(self.form)

    def column(self, field: Field) -> str | None:
        """The column that carries a field; None for personal data, which never leave raw."""
        name = column_name(field)
        return name if name in self.columns else None

    def key(self, form: Form) -> list[str]:
        """The columns that tell a row from any other. Raises KeyError where the mart lacks the form's key."""
        column = self.column(form.key)
        if column is None:
            raise KeyError(f"{self.table} has no column for {form.code}.{form.key.name}")
        return (["week"] if self.weekly else []) + ["county_code", column]


def candidates(connection: psycopg.Connection) -> dict[str, Mart]:
    """The candidate facts that have been built, by form."""
    columns: dict[str, set[str]] = {}
    for table, column in connection.execute(
        "select table_name, column_name from information_schema.columns where table_schema = 'candidate'"
    ):
        columns.setdefault(table, set()).add(column)
    return {form: Mart(form, name, frozenset(columns[name])) for name, form in forms_of_marts().items() if name in columns}
