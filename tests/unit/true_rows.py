"""Submissions as they are meant: true values of any form, drawn from a seed, before anyone writes them into a sheet."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ingestion.contract_model import Field, Form
from ingestion.reference import Codes

SUNDAY = dt.date(2020, 6, 14)
WEEK = "2020-W24"


@dataclass
class Truth:
    """What a submission means: typed values by field, one list entry a row."""

    form: Form
    county: str
    values: dict[str, list[Any]]

    @property
    def rows(self) -> int:
        return len(self.values[self.form.key.name])


def made_up(form: Form, county: str, codes: Codes, rng: random.Random, rows: int | None = None) -> Truth:
    """Values that no row rule looks at closely; rates are what their base gives."""
    key = form.key
    keys = _keys(form, county, codes, rng)
    keys = keys if rows is None else keys[:rows]
    values: dict[str, list[Any]] = {key.name: keys}
    for f in form.fields:
        if f is not key and f.kind != "declared":
            values[f.name] = [None if not f.required and rng.random() < 0.2 else _value(f, county, codes, rng, i) for i in range(len(keys))]
    for f in form.fields:
        if f.kind == "declared":
            values[f.name] = _declared(form, f, values, len(keys))
    return Truth(form, county, {f.name: values[f.name] for f in form.fields})


def _keys(form: Form, county: str, codes: Codes, rng: random.Random) -> list[str]:
    match form.key.codes:
        case "township":
            return list(codes.townships_of(county))
        case "village":
            places = [v for v in codes.villages_of(county) if not codes.ambiguous("village", codes.place_name(v), county)]
            return rng.sample(places, 12)
        case "industry":
            return list(codes.industries_of(county))
        case "values":
            return list(form.key.values)
    if form.key.type == "text":
        return [f"{letter}{form.code}科技有限公司" for letter in "甲乙丙丁戊己庚"]
    return [f"{form.code}-2020-{n:03d}" for n in range(1, 10)]


def _value(f: Field, county: str, codes: Codes, rng: random.Random, row: int) -> Any:
    match f.type:
        case "integer":
            return rng.choice([0, rng.randint(1, 99), rng.randint(100, 9999)])
        case "decimal" if f.money:
            return rng.choice([Decimal(0), Decimal(rng.randint(1, 10**6)) * 100, Decimal(rng.randint(1, 9999)) * 10_000]).quantize(Decimal("0.01"))
        case "decimal":
            return Decimal(rng.randint(0, 5000)) / 10
        case "percent":
            return Decimal(rng.randint(1, 999)) / 10_000
        case "date":
            return dt.date(2020, rng.randint(1, 5), rng.randint(1, 28))
        case "boolean":
            return rng.random() < 0.5
        case "code" if f.codes == "values":
            return rng.choice(list(f.values))
        case "code" if f.codes == "township":
            return rng.choice(codes.townships_of(county))
        case "code" if f.codes == "village":
            return rng.choice([v for v in codes.villages_of(county)[:40] if not codes.ambiguous("village", codes.place_name(v), county)])
        case "code" if f.codes == "industry":
            return rng.choice(list(codes.industries_of(county)))
        case "code":
            return f"HB-{rng.randint(1000, 9999)}-{row}"
    if f.name.endswith(("_no", "_number", "_tail")):
        return f"{rng.randint(1000, 9999)}{row:03d}"
    return rng.choice(["文字", "某某项目（一期）", "含,逗号", "第二批"]) + str(row)


def _declared(form: Form, f: Field, values: dict[str, list[Any]], rows: int) -> list[Any]:
    for rule in form.rules_of("declared"):
        pairs = rule.definition.get("pairs") or {rule.definition["field"]: rule.definition["expression"]}
        if f.name in pairs:
            above, below = (values[n.strip()] for n in pairs[f.name].split("/"))
            return [(Decimal(a) / Decimal(b)).quantize(Decimal("0.0001")) if a is not None and b else None for a, b in zip(above, below, strict=True)]
    return [None] * rows
