"""The contracts: one YAML a form (Open Data Contract Standard v3), read into plain records.

A form, its fields, codes and rules are written in these files and nowhere else. A form may have several
files with different ``validFrom``/``validTo``; `Contracts.form` picks the one in force on a week's as-of date.
"""

from __future__ import annotations

import datetime as dt
import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent / "contracts"


class ContractError(Exception):
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

    @property
    def money(self) -> bool:
        return self.unit == "yuan"

    @property
    def numeric(self) -> bool:
        return self.type in ("integer", "decimal", "percent")


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
        return max(fitting or versions, key=lambda f: f.valid_from)

    @functools.cached_property
    def codes(self) -> list[str]:
        return sorted({f.code for f in self.forms})

    @functools.cached_property
    def rules(self) -> dict[str, Rule]:
        """Every rule by its id, the newest version of each form, and the general ones."""
        newest = [r for code in self.codes for r in self.form(code).rules]
        return {r.id: r for r in (*self.general_rules, *newest)}


def load_contracts(folder: Path = FOLDER) -> Contracts:
    """Read every contract in a folder. Raises ContractError naming the file and what is wrong with it."""
    general = yaml.safe_load((FOLDER / "general.yaml").read_text(encoding="utf-8"))
    files = sorted(p for p in folder.glob("*.yaml") if p.name != "general.yaml")
    return Contracts(
        forms=tuple(_read_form(p) for p in files),
        general_rules=tuple(_general_rule(r) for r in general["quality"]),
        writing=general["writing"],
    )


@functools.cache
def contracts() -> Contracts:
    """The project's own contracts, read once a process."""
    return load_contracts()


def _read_form(path: Path) -> Form:
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        about = _properties(document)
        (table,) = document["schema"]
        form = Form(
            code=document["id"],
            version=document["version"],
            valid_from=dt.date.fromisoformat(about["validFrom"]),
            valid_to=dt.date.fromisoformat(about["validTo"]) if about.get("validTo") else None,
            zh=document["name"],
            en=document["description"]["purpose"],
            titles=tuple(about["titles"]),
            star=document["dataProduct"],
            listing=about.get("listing", "level"),
            expected_from=about.get("expectedFrom", "all_counties"),
            fields=tuple(_field(p) for p in table["properties"]),
            rules=tuple(_rule(r, document["id"]) for r in table.get("quality", [])),
        )
        _check(form)
    except ContractError as error:
        raise ContractError(f"{path.name}: {error}") from error
    except (KeyError, ValueError, TypeError, yaml.YAMLError) as error:
        raise ContractError(f"{path.name}: {type(error).__name__}: {error}") from error
    return form


def _properties(node: dict) -> dict[str, Any]:
    return {p["property"]: p["value"] for p in node.get("customProperties", [])}


def _field(node: dict) -> Field:
    about = _properties(node)
    return Field(
        name=node["name"],
        zh=node["businessName"],
        aliases=tuple(about.get("aliases", ())),
        type=about["type"],
        kind=about["kind"],
        required=bool(node.get("required")),
        unit=about.get("unit"),
        codes=about.get("codes"),
        values={str(code): tuple(labels) if isinstance(labels, list) else (labels,) for code, labels in about.get("values", {}).items()},
        sql_type=node["physicalType"],
        personal=node.get("classification") == "personal",
        pseudonymised=bool(about.get("pseudonymised")),
    )


def _rule(node: dict, form: str) -> Rule:
    about = _properties(node)
    return Rule(node["name"], form, node["severity"], about["scope"], node["description"], about["text_en"], node["implementation"]["check"], node["implementation"])


def _general_rule(node: dict) -> Rule:
    return Rule(node["name"], "*", node["severity"], "general", node["description"], node["text_en"], "general", {})


def _check(form: Form) -> None:
    keys = [f.name for f in form.fields if f.kind == "key"]
    if len(keys) != 1:
        raise ContractError(f"exactly one field must be of kind key, found {keys or 'none'}")
    names = [f.name for f in form.fields]
    if len(set(names)) != len(names):
        raise ContractError("two fields have the same name")
    for f in form.fields:
        if f.codes == "values" and not f.values:
            raise ContractError(f"field {f.name}: codes are values, but none are given")
