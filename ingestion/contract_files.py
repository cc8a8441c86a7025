"""One contract file (Open Data Contract Standard v3) becomes one `Form` a table.

Our own properties say most precisely what a field is; a contract by somebody else need not have any of them. What is
missing is inferred from the standard's own fields (docs/contracts.md lists how); what cannot be used is refused with
the file, the place and a sentence, and what is merely not checked is kept in ``Form.notes``.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import yaml

from ingestion.contract_model import CHECKS, ContractError, Field, Form, Rule
from ingestion.expressions import Expression, ExpressionError
from ingestion.grid import squeeze
from ingestion.units import PER_MILLE, PERCENT, Unit, Units

TYPES = ("text", "code", "integer", "decimal", "date", "percent", "boolean")
KINDS = ("key", "attribute", "stock", "cumulative", "constant", "flow", "declared")
CODES = ("township", "village", "industry", "values", "identifier")
SQL_TYPES = {"text": "text", "code": "text", "integer": "integer", "decimal": "numeric", "percent": "numeric", "date": "date", "boolean": "boolean"}
LOGICAL = {"string": "text", "number": "decimal", "integer": "integer", "date": "date", "boolean": "boolean", "timestamp": "text", "time": "text"}
PERSONAL = ("personal", "pii", "sensitive", "restricted", "confidential")
RATES = ("%", "percent", "percentage", "pct", "百分比", "百分数")
BY_ROW = "by_row"  # unit: another column of the row says it, or the row's own name
# What does not add up over rows, and may be negative
NOT_ADDITIVE = re.compile("率|比重|比例|占比|均|单产|亩产|单价|价格|指数|增长|增减|增幅|增速|涨跌|涨幅|同比|环比|位次|排名|排序|温度|系数|密度|性别比|寿命|[=＝]100")
MAY_BE_NEGATIVE = re.compile("增长|增减|增幅|增速|涨跌|涨幅|升降|变动|变化|同比|环比|净|差额|差值|温度|结余|盈亏|利润")
IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,57}")
SQL_WORDS = frozenset(
    (  # noqa: SIM905  as one reads them
        "all analyse analyze and any array as asc asymmetric both case cast check collate column constraint create current_date current_time "
        "current_user default deferrable desc distinct do else end except false fetch for foreign from grant group having in initially "
        "intersect into lateral leading limit localtime not null offset on only or order placing primary references returning select "
        "session_user some symmetric table then to trailing true union unique user using variadic when where window with "
        "slice previous week county_code as_of_date carried_from_week source_row_no"
    ).split()
)
RAW_COLUMNS = frozenset(("submission_id", "row_no", "block_no", "sheet_row", "change_reason", "extra", "source_text"))


def read_forms(path: Path, writing: dict[str, Any]) -> list[Form]:
    """Every form of one file. Raises ContractError naming the file and what is wrong."""
    try:
        document = yaml.load(path.read_text(encoding="utf-8-sig"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return _Document(document, path, Units(writing)).forms()
    except ContractError as error:
        raise ContractError(f"{path.name}: {error}") from error
    except KeyError as error:
        raise ContractError(f"{path.name}: {error} is missing") from error
    except (OSError, AttributeError, ValueError, TypeError, yaml.YAMLError) as error:
        raise ContractError(f"{path.name}: {type(error).__name__}: {error}") from error


def properties(node: dict) -> dict[str, Any]:
    """customProperties as a dictionary; they may be left out."""
    found = node.get("customProperties") or []
    return dict(found) if isinstance(found, dict) else {p["property"]: p.get("value") for p in found}


class _Document:
    def __init__(self, document: Any, path: Path, units: Units):
        if not isinstance(document, dict) or document.get("kind") != "DataContract":
            raise ContractError("is no data contract (kind: DataContract)")
        if not str(document.get("apiVersion", "v3")).startswith("v3"):
            raise ContractError(f"apiVersion {document['apiVersion']}: only version 3 of the Open Data Contract Standard is read")
        self.document, self.path, self.units = document, path, units
        self.about = properties(document)
        tables = document.get("schema")
        if not isinstance(tables, list) or not tables:
            raise ContractError("schema: names no table")
        self.tables: list[dict] = tables

    def forms(self) -> list[Form]:
        return [self._form(table) for table in self.tables]

    def _form(self, table: dict) -> Form:
        document, about = self.document, self.about | properties(table)
        code, notes = self._code(table), []
        nodes = table.get("properties")
        if not nodes:
            raise ContractError(f"table {table.get('name')}: has no properties")
        explicit = [properties(n) for n in nodes]
        keys = self._keys(nodes, explicit)
        # where a contract never says what is required, a column that is not there is a table of another kind
        silent = not any("required" in n for n in nodes)
        fields = tuple(self._field(n, own, code, i, i in keys, silent) for i, (n, own) in enumerate(zip(nodes, explicit, strict=True)))
        zh = str((document.get("name") if len(self.tables) == 1 else None) or table.get("businessName") or document.get("name") or table.get("name") or code)
        purpose = document.get("description")
        if len(squeeze(zh)) < 4:  # 表1 stands in the title of every other table
            zh = f"{zh}（{code}）"
        named = [t for t in (table.get("businessName"), document.get("name")) if t and len(squeeze(str(t))) >= 4]
        titles = about.get("titles") or named or [zh]
        titles = [titles] if isinstance(titles, str) else titles
        form = Form(
            code=code,
            version=str(document.get("version", "1.0.0")),
            valid_from=_date(about.get("validFrom"), "validFrom") or dt.date(1900, 1, 1),
            valid_to=_date(about.get("validTo"), "validTo"),
            zh=zh,
            en=str((purpose.get("purpose") if isinstance(purpose, dict) else purpose) or zh),
            titles=tuple(map(str, dict.fromkeys(titles))),
            star=str(document.get("dataProduct") or document.get("domain") or "other"),
            listing=about.get("listing", "level"),
            expected_from=about.get("expectedFrom", "all_counties"),
            fields=fields,
            rules=(),
            identity=tuple(f.name for f, n in zip(fields, nodes, strict=True) if n.get("primaryKey") or f.kind == "key")
            if any(n.get("primaryKey") or properties(n).get("kind") == "key" or _is_unique(n) for n in nodes)
            else (),
            source=self.path.name,
        )
        _check_form(form)
        rules = _Rules(form, nodes, table, notes).read()
        return dataclasses.replace(form, rules=rules, notes=tuple(notes))

    def _code(self, table: dict) -> str:
        """The contract's id where it can name a table, else the table's name, else one made from the id."""
        wanted = [self.about.get("form")] if len(self.tables) == 1 else []
        wanted += [self.document.get("id")] if len(self.tables) == 1 else []
        wanted += [str(table.get("physicalName") or "").rpartition(".")[2], table.get("name")]
        for text in wanted:
            name = re.sub(r"[-\s]+", "_", str(text or "").strip()).lower()
            if IDENTIFIER.fullmatch(name) and len(name) <= 40 and name not in SQL_WORDS:
                return name.upper()
        text = f"{self.document.get('id')}/{table.get('name')}"
        if not (self.document.get("id") or table.get("name")):
            raise ContractError("id: is missing")
        return "FORM_" + hashlib.sha256(text.encode()).hexdigest()[:8].upper()

    # Fields

    def _keys(self, nodes: list[dict], explicit: list[dict]) -> set[int]:
        """The one field by which rows are named: kind key, else the first of the primary key, else a unique or the first text."""
        named = [i for i, own in enumerate(explicit) if own.get("kind") == "key"]
        if len(named) > 1:
            raise ContractError(f"exactly one field must be of kind key, found {[nodes[i].get('name') for i in named]}")
        if named:
            return set(named)
        free = [i for i, own in enumerate(explicit) if "kind" not in own]
        primary = sorted((i for i in free if nodes[i].get("primaryKey")), key=lambda i: nodes[i].get("primaryKeyPosition") or 0)
        if not primary and any("kind" in own for own in explicit):
            raise ContractError("exactly one field must be of kind key, found none (kind: key, or primaryKey: true)")
        unique = [i for i in free if _is_unique(nodes[i])]
        texts = [i for i in free if nodes[i].get("logicalType", "string") == "string"]
        found = (primary or unique or texts)[:1]
        if not found:
            raise ContractError("no field can name a row: mark one with primaryKey: true")
        return set(found)

    def _field(self, node: dict, own: dict, code: str, index: int, is_key: bool, silent: bool) -> Field:
        zh = str(node.get("businessName") or node.get("name") or "").strip()
        if not zh:
            raise ContractError(f"property {index + 1} of {code} has neither name nor businessName")
        aliases = own.get("aliases") or ()
        aliases = (aliases,) if isinstance(aliases, str) else tuple(map(str, aliases))
        unit = None if own.get("unit") in (None, "", BY_ROW) else str(own["unit"])
        by_row = own.get("unit") == BY_ROW
        rate = (unit or "").strip().lower() in RATES
        if unit is None and not by_row and "type" not in own:
            written = {u for t in (zh, *aliases) if "(" in squeeze(t) and (u := self.units.in_text(t))}
            rate = written == {PERCENT}
            stated = next(iter(written)) if len(written) == 1 else None
            unit = stated.text if isinstance(stated, Unit) else stated if stated == PER_MILLE else None
        values = _values(own.get("values"))
        kind_of_data = own.get("type") or self._type(node, zh, rate, bool(values), own)
        if kind_of_data not in TYPES:
            raise ContractError(f"field {zh}: type {kind_of_data}: known are {', '.join(TYPES)}")
        numeric = kind_of_data in ("integer", "decimal", "percent")
        loose = numeric and (kind_of_data == "percent" or bool(NOT_ADDITIVE.search(zh)) or "/" in (unit or "") or unit == PER_MILLE)
        kind = own.get("kind") or ("key" if is_key else "attribute" if not numeric or loose else "stock")
        if kind not in KINDS:
            raise ContractError(f"field {zh}: kind {kind}: known are {', '.join(KINDS)}")
        options = node.get("logicalTypeOptions") or {}
        least = options.get("minimum", options.get("exclusiveMinimum"))
        signed = own.get("signed", least < 0 if isinstance(least, (int, float)) else "kind" not in own and bool(MAY_BE_NEGATIVE.search(zh)))
        codes = own.get("codes") or ("values" if values and kind_of_data == "code" else "identifier" if kind_of_data == "code" else None)
        if codes is not None and codes not in CODES:
            raise ContractError(f"field {zh}: codes {codes}: known are {', '.join(CODES)}")
        return Field(
            name=_column(str(node.get("name") or ""), index),
            zh=zh,
            aliases=aliases,
            type=kind_of_data,
            kind=kind,
            required=bool(node.get("required")) or (is_key and silent),
            unit=None if rate or unit is None else self.units.canonical(unit),
            codes=codes,
            values=values,
            sql_type=_sql_type(node, own, kind_of_data),
            personal=str(node.get("classification") or "").lower() in PERSONAL,
            pseudonymised=bool(own.get("pseudonymised")),
            signed=bool(signed),
            past=bool(own.get("past")),
            column_required=silent and "kind" not in own,
            unit_by_row=by_row,
        )

    def _type(self, node: dict, zh: str, rate: bool, coded: bool, own: dict) -> str:
        logical = node.get("logicalType") or _logical_of(str(node.get("physicalType") or ""))
        if coded or own.get("codes"):
            return "code"
        if rate and logical in ("number", "integer", "string"):
            return "percent"
        if logical not in LOGICAL:
            raise ContractError(f"field {zh}: " + (f"logicalType {logical} is no cell of a table" if logical else "has neither logicalType nor physicalType"))
        return LOGICAL[logical]


def _logical_of(physical: str) -> str | None:
    text = physical.lower()
    for logical, words in (
        ("boolean", ("bool", "bit")),
        ("integer", ("bigint", "smallint", "integer", "int", "serial", "long")),
        ("number", ("numeric", "decimal", "number", "double", "float", "real", "money")),
        ("timestamp", ("timestamp", "datetime")),
        ("date", ("date",)),
        ("string", ("char", "text", "string", "varchar", "uuid")),
    ):
        if any(w in text for w in words):
            return logical
    return None


def _sql_type(node: dict, own: dict, of: str) -> str:
    """Ours where the contract is in our words; numbers of others go into numeric, whatever width they speak of."""
    physical = str(node.get("physicalType") or "").lower()
    if "type" in own and physical in set(SQL_TYPES.values()):
        return physical
    return "integer" if of == "integer" and physical in ("integer", "int", "int4") else "numeric" if of == "integer" else SQL_TYPES[of]


def _column(name: str, index: int) -> str:
    column = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[-\s.]+", "_", name.strip()).lower()
    if not IDENTIFIER.fullmatch(column):
        return f"field_{index + 1}"
    return column + "_value" if column in SQL_WORDS or column in RAW_COLUMNS else column


def _values(given: Any) -> dict[str, tuple[str, ...]]:
    if not given:
        return {}
    if isinstance(given, (list, tuple)):
        given = {str(v): [str(v)] for v in given}
    return {str(code): tuple(map(str, labels)) if isinstance(labels, list) else (str(labels),) for code, labels in given.items()}


def _date(value: Any, what: str) -> dt.date | None:
    if value is None or value == "":
        return None
    if isinstance(value, dt.datetime):
        return value.date()
    try:
        return value if isinstance(value, dt.date) else dt.date.fromisoformat(value)
    except (ValueError, TypeError) as error:
        raise ContractError(f"{what}: {type(error).__name__}: {value!r} is no date like 2020-06-01") from error


def _is_unique(node: dict) -> bool:
    library = [r for r in node.get("quality") or [] if r.get("rule") in ("uniqueCheck", "duplicateCount", "duplicateValues", "uniqueValues") and r.get("mustBe", 0) == 0]
    return bool(node.get("unique") or library)


def _check_form(form: Form) -> None:
    if form.listing not in ("level", "events"):
        raise ContractError(f"listing {form.listing}: known are level, events")
    if form.expected_from not in ("all_counties", "counties_not_exited"):
        raise ContractError(f"expectedFrom {form.expected_from}: known are all_counties, counties_not_exited")
    if form.valid_to and form.valid_to < form.valid_from:
        raise ContractError(f"validTo {form.valid_to} is before validFrom {form.valid_from}")
    keys = [f.name for f in form.fields if f.kind == "key"]
    if len(keys) != 1:
        raise ContractError(f"exactly one field must be of kind key, found {keys or 'none'}")
    names = [f.name for f in form.fields]
    if len(set(names)) != len(names):
        raise ContractError(f"two fields have the same name: {', '.join(sorted({n for n in names if names.count(n) > 1}))}")
    headings: dict[str, str] = {}
    for f in form.fields:
        if f.codes == "values" and not f.values:
            raise ContractError(f"field {f.name}: codes are values, but none are given")
        for heading in {squeeze(h) for h in (f.zh, *f.aliases)}:
            if (other := headings.setdefault(heading, f.name)) != f.name:
                raise ContractError(f"the heading {heading} means two fields, {other} and {f.name}: nobody could tell their columns apart")


class _Rules:
    """The rules of one table: ours as they stand, the standard's library rules where they can be put in our words."""

    def __init__(self, form: Form, nodes: list[dict], table: dict, notes: list[str]):
        self.form, self.nodes, self.table, self.notes = form, nodes, table, notes
        self.found: list[Rule] = []

    def read(self) -> tuple[Rule, ...]:
        for node in self.table.get("quality") or []:
            self._rule(node, None)
        for node, field in zip(self.nodes, self.form.fields, strict=True):
            self._options(node.get("logicalTypeOptions") or {}, field)
            for rule in node.get("quality") or []:
                self._rule(rule, field)
        ours = any(r.get("engine") == "warehouse" for r in self.table.get("quality") or [])
        if not ours and any(f.kind != "key" and f.kind in ("stock", "cumulative", "constant", "flow") for f in self.form.fields):
            self._made("TOTAL", "form", "合计行不一致", "a total row equals the sum of its rows, to the precision that is printed", {"check": "total", "printed": True})
        return tuple(self.found)

    def _rule(self, node: dict, field: Field | None) -> None:
        if node.get("type") == "custom" and node.get("engine") == "warehouse":
            self.found.append(self._own(node))
            return
        name = node.get("name") or node.get("rule") or node.get("description") or node.get("type") or "?"
        rule, arguments = node.get("rule") or node.get("metric"), node.get("arguments") or {}
        if field is not None and rule in ("nullCheck", "nullValues", "missingValues") and node.get("mustBe", 0) == 0:
            self._made("NULL", "row", f"{field.zh}不得为空", f"{field.name} is given", {"check": "row", "expression": f"not blank({field.name})", "field": field.name}, field)
        elif rule in ("uniqueCheck", "duplicateCount", "duplicateValues", "uniqueValues") and field is not None and self.form.identity == (field.name,):
            pass  # a key that comes twice is GEN-KEY's
        elif field is not None and rule in ("validValues", "invalidValues") and (allowed := arguments.get("validValues") or node.get("validValues")) and not field.numeric:
            text = ", ".join(repr(str(v)) for v in allowed)
            listed = f"({text},)" if len(allowed) == 1 else f"({text})"
            self._made("VALUES", "row", f"{field.zh}只能是：{'、'.join(map(str, allowed))}", f"{field.name} is one of the values listed", {"check": "row", "expression": f"{field.name} in {listed}", "field": field.name}, field)
        else:
            self.notes.append(f"规则“{name}”不是本系统能执行的规则，未检查")

    def _options(self, options: dict, field: Field) -> None:
        for option, sign in (("minimum", ">="), ("exclusiveMinimum", ">"), ("maximum", "<="), ("exclusiveMaximum", "<")):
            limit = options.get(option)
            if limit is None or isinstance(limit, bool):
                continue
            if field.numeric and isinstance(limit, (int, float)):
                limit = limit / 100 if field.type == "percent" else limit
                text = f"{field.name} {sign} {limit}" if limit >= 0 else f"{field.name} {sign} 0 - {-limit}"
                self._made(option.upper(), "row", f"{field.zh}超出规定范围（{sign}{options[option]}）", text, {"check": "row", "expression": text, "field": field.name}, field)
            else:
                self.notes.append(f"“{field.zh}”的 {option} 未检查")
        self.notes += [f"“{field.zh}”的 {o} 未检查" for o in ("pattern", "minLength", "maxLength", "multipleOf") if o in options]

    def _made(self, what: str, scope: str, zh: str, en: str, definition: dict, field: Field | None = None) -> None:
        rule_id = "-".join(filter(None, (self.form.code, field.name.upper() if field else "", what)))
        if all(r.id != rule_id for r in self.found):
            self.found.append(self._usable(Rule(rule_id, self.form.code, "error", scope, zh, en, definition["check"], definition)))

    def _own(self, node: dict) -> Rule:
        about, definition = properties(node), dict(node.get("implementation") or {})
        dated = {name: about[name] for name in ("validFrom", "validTo", "severities", "owner") if about.get(name) is not None}
        definition |= json.loads(json.dumps(dated, default=str))  # a date without quotes is a date in YAML; here it is text
        name = node.get("name") or "?"
        if node.get("severity") not in ("error", "warning"):
            raise ContractError(f"rule {name}: severity is error or warning, not {node.get('severity')}")
        if definition.get("check") not in CHECKS:
            raise ContractError(f"rule {name}: there is no check {definition.get('check')}; known are {', '.join(CHECKS)}")
        zh = node.get("description") or name
        return self._usable(Rule(node["name"], self.form.code, node["severity"], about.get("scope", "row"), zh, about.get("text_en", zh), definition["check"], definition))

    def _usable(self, rule: Rule) -> Rule:
        """A rule whose fields exist and whose expressions can be judged; raises ContractError otherwise."""
        definition, fields = rule.definition, self.form.by_name
        named = [definition[k] for k in ("field", "group_by") if k in definition] + list(definition.get("fields", [])) + list(definition.get("pairs", {}))
        if unknown := [n for n in named if n not in fields]:
            raise ContractError(f"rule {rule.id}: there is no field {', '.join(unknown)}")
        texts = [definition[k] for k in ("expression", "level", "change") if k in definition] + list(definition.get("pairs", {}).values())
        try:
            for text in texts:
                Expression(text, fields)
            if rule.check == "row":
                condition = Expression(definition["expression"], fields)
                if not definition.get("field") and not all(p.field in fields for p in condition.parts()):
                    raise ContractError(f"rule {rule.id}: say with `field` which cell is at fault")
        except ExpressionError as error:
            raise ContractError(f"rule {rule.id}: {error}") from error
        return rule
