"""What a contract says, as plain records: fields, rules, forms, and all of them together. `contracts` reads them."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import itertools
from dataclasses import dataclass, field
from typing import Any

from warehouse.settings import WarehouseError

CHECKS = (  # what a rule of engine `warehouse` may name as its check
    "row", "declared", "id_number", "complete", "unique_in_year", "total", "sum_of_rows",
    "no_fall", "unchanged", "still_listed", "stays", "balance", "outlier", "sql",
)  # fmt: skip


class ContractError(WarehouseError):
    """A contract file that cannot be used; the text names the file and the place."""


@dataclass(frozen=True)
class Field:
    name: str
    zh: str  # official heading
    aliases: tuple[str, ...]
    type: str  # text | code | integer | decimal | date | percent | boolean
    kind: str  # key | attribute | stock | cumulative | constant | flow | declared
    required: bool
    unit: str | None  # canonical unit in the warehouse; 'yuan' marks money
    codes: str | None  # township | village | industry | values | identifier, for type code
    values: dict[str, tuple[str, ...]]  # code → labels that mean it, official one first
    sql_type: str
    personal: bool
    pseudonymised: bool  # leaves the raw schema only as a keyed pseudonym
    signed: bool = False  # may be negative
    column_required: bool = False  # the column has to be there although its cells may be blank
    past: bool = False  # a date of what has happened: not after the as-of date
    unit_by_row: bool = False  # what a figure is in stands in its row, not in the contract

    @property
    def money(self) -> bool:
        return self.unit == "yuan"

    @property
    def numeric(self) -> bool:
        return self.type in ("integer", "decimal", "percent")

    @property
    def adds_up(self) -> bool:
        """A total of it is the sum of its rows."""
        return self.type in ("integer", "decimal") and self.kind in ("stock", "cumulative", "constant", "flow")


@dataclass(frozen=True)
class Rule:
    id: str
    form: str  # '*' for the general rules
    severity: str  # error | warning
    scope: str  # row | form | cross_week | cross_form | general
    zh: str
    en: str
    check: str  # the kind of check: row, declared, total, complete, no_fall, …
    definition: dict[str, Any] = field(hash=False)

    def severity_on(self, date: dt.date) -> str:
        """``error`` or ``warning`` on a date: that of the last of its ``severities`` by then, else its own."""
        past = [(s["from"], s["severity"]) for s in self.definition.get("severities", ()) if s["from"] <= date.isoformat()]
        return max(past)[1] if past else self.severity

    def in_force(self, date: dt.date) -> bool:
        return self.definition.get("validFrom", "") <= date.isoformat() <= self.definition.get("validTo", "9999")


@dataclass(frozen=True)
class Form:
    code: str
    version: str
    valid_from: dt.date
    valid_to: dt.date | None
    zh: str
    en: str
    titles: tuple[str, ...]
    star: str
    listing: str  # level: everything, every week; events: the week's new ones
    expected_from: str  # all_counties | counties_not_exited
    fields: tuple[Field, ...]
    rules: tuple[Rule, ...]
    identity: tuple[str, ...] = ()  # fields that together occur once; empty: rows may repeat
    source: str = ""  # file that it was read from
    notes: tuple[str, ...] = ()  # what of the contract is not checked, in Chinese

    @functools.cached_property
    def by_name(self) -> dict[str, Field]:
        return {f.name: f for f in self.fields}

    @property
    def key(self) -> Field:
        return next(f for f in self.fields if f.kind == "key")

    @property
    def raw_table(self) -> str:
        return f"raw.{self.code.lower()}"

    def rules_of(self, *checks: str) -> list[Rule]:
        return [r for r in self.rules if r.check in checks]

    def on(self, date: dt.date) -> Form:
        """The form with the rules in force on a date, each with its severity of that date; itself where none has dates."""
        rules = tuple(
            r if (severity := r.severity_on(date)) == r.severity else dataclasses.replace(r, severity=severity) for r in self.rules if r.in_force(date)
        )
        if all(a is b for a, b in itertools.zip_longest(rules, self.rules)):
            return self
        return self._dated.setdefault(tuple((r.id, r.severity) for r in rules), dataclasses.replace(self, rules=rules))

    @functools.cached_property
    def _dated(self) -> dict[tuple, Form]:
        return {}  # one object for each set of rules, so that what is worked out for it is worked out once


@dataclass(frozen=True)
class Contracts:
    forms: tuple[Form, ...]  # every version
    general_rules: tuple[Rule, ...]
    writing: dict[str, Any] = field(hash=False)  # how counties write: blank marks, unit words, title-block words

    def form(self, code: str, on: dt.date | None = None) -> Form:
        """The contract of a form in force on a date (default: the newest). Raises KeyError for an unknown form."""
        versions = [f for f in self.forms if f.code == code]
        if not versions:
            raise KeyError(code)
        fitting = [f for f in versions if on is None or (f.valid_from <= on and (f.valid_to is None or on <= f.valid_to))]
        found = max(fitting or versions, key=lambda f: f.valid_from)
        return found.on(on) if on else found

    @functools.cached_property
    def codes(self) -> list[str]:
        return sorted({f.code for f in self.forms})

    @functools.cached_property
    def rules(self) -> dict[str, Rule]:
        """Every rule by its id, the newest version of each form, and the general ones."""
        newest = [r for code in self.codes for r in self.form(code).rules]
        return {r.id: r for r in (*self.general_rules, *newest)}
