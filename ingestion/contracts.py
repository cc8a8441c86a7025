"""The contracts: one YAML a form (Open Data Contract Standard v3), read into plain records.

A form, its fields, codes and rules are written in these files and nowhere else. A form may have several
files with different ``validFrom``/``validTo``; `Contracts.form` picks the one in force on a week's as-of date.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import itertools
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from warehouse.settings import WarehouseError

FOLDER = Path(__file__).parent / "contracts"
ENVIRONMENT = "WAREHOUSE_CONTRACTS"  # folders of a city's own contracts, separated like PATH
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


def load_contracts(*folders: Path) -> Contracts:
    """Read every contract (*.yaml, *.yml) in some folders; the project's own by default.

    Raises ContractError naming the file and what is wrong with it, also where contracts contradict each other.
    """
    from ingestion.contract_files import read_forms

    general = yaml.safe_load((FOLDER / "general.yaml").read_text(encoding="utf-8"))
    forms = []
    for folder in folders or (FOLDER,):
        if not folder.is_dir():
            raise ContractError(f"There is no folder of contracts {folder}.")
        files = sorted(p for p in folder.iterdir() if p.suffix in (".yaml", ".yml") and p.name != "general.yaml")
        if not files:
            raise ContractError(f"The folder {folder} holds no contract (*.yaml).")
        forms += [form for path in files for form in read_forms(path, general["writing"])]
    _agree(forms)
    return Contracts(tuple(forms), tuple(_general_rule(r) for r in general["quality"]), general["writing"])


@functools.cache
def contracts() -> Contracts:
    """The project's own contracts and those in the folders of WAREHOUSE_CONTRACTS, read once a process."""
    return load_contracts(FOLDER, *extra_folders())


def extra_folders() -> list[Path]:
    return [Path(p) for p in os.environ.get(ENVIRONMENT, "").split(os.pathsep) if p]


def _agree(forms: list[Form]) -> None:
    """What only shows when contracts are looked at together."""
    titles: dict[str, Form] = {}
    rules: dict[str, Form] = {}
    for form in forms:
        for title in {form.zh, *form.titles}:
            if (other := titles.setdefault(title, form)).code != form.code:
                raise ContractError(f"{form.source}: the title {title} is also that of {other.code} ({other.source})")
        for rule in form.rules:
            if (other := rules.setdefault(rule.id, form)).code != form.code:
                raise ContractError(f"{form.source}: the rule {rule.id} is also one of {other.code} ({other.source})")
    for earlier, later in itertools.combinations(sorted(forms, key=lambda f: f.valid_from), 2):
        if earlier.code == later.code:
            _agree_versions(earlier, later)


def _agree_versions(earlier: Form, later: Form) -> None:
    where = f"{later.source} and {earlier.source} ({later.code})"
    if earlier.version == later.version:
        raise ContractError(f"{where}: both are version {later.version}")
    if earlier.valid_from == later.valid_from:
        raise ContractError(f"{where}: both are valid from {later.valid_from}")
    for now in later.fields:  # both versions' rows stand in one column
        before = earlier.by_name.get(now.name)
        if before and (before.sql_type, before.unit, before.type) != (now.sql_type, now.unit, now.type):
            was, becomes = (f"{f.type} ({f.sql_type}, {f.unit or 'no unit'})" for f in (before, now))
            raise ContractError(f"{where}: {now.name} is {was} and becomes {becomes}; give the new field another name")


def _general_rule(node: dict) -> Rule:
    return Rule(node["name"], "*", node["severity"], "general", node["description"], node["text_en"], "general", {})
