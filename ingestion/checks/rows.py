"""Rules of one row: conditions on its fields, declared rates against our own figure, identity numbers."""

from __future__ import annotations

import ast
import datetime as dt
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from ingestion import identity
from ingestion.checks.subject import Subject, number_in, plain
from ingestion.contract_model import Rule
from ingestion.expressions import CONTEXT, FLIPPED, SIGNS, Expression, Failure, evaluate, expression

# Half a unit of the last printed digit decides; beyond that only what binary fractions add
_NOISE = Decimal("1e-9")
_SHOULD = {"<=": "应不大于", "<": "应小于", ">=": "应不小于", ">": "应大于", "==": "应为", "!=": "不应为"}
_SHOULD_DATE = {"<=": "应不晚于", "<": "应早于", ">=": "应不早于", ">": "应晚于", "==": "应为", "!=": "不应为"}
_IDENTITY_FAULTS = {
    "length": "不是18位",
    "characters": "含有数字和末位X以外的字符",
    "address": "前6位地址码不存在",
    "birth_date": "第7至14位出生日期不成立",
    "check_digit": "末位校验码与前17位不符",
}


@dataclass(frozen=True, slots=True)
class Bound:
    """What the field at fault should have been, in the warehouse's unit."""

    sign: str
    value: Any
    difference: Any = None  # given minus expected; days for dates


def check_row(subject: Subject, rule: Rule) -> None:
    """One finding for each field at which the rule's expression fails in a row."""
    condition = expression(rule.definition["expression"], tuple(subject.form.by_name))
    columns = {f: subject.column(f) for f in condition.fields}
    county_of = subject.codes.county_of
    for i in condition.suspects(columns, subject.context, county_of):
        if any(i in subject.at_fault.get(f, ()) for f in condition.asked_for_blank):
            continue  # the cell is not blank but unreadable, and has its finding
        row = subject.row(i, condition.fields)
        named: set[str] = set()
        for failure in condition.failures(row, county_of):
            field = rule.definition.get("field") or failure.field
            if field not in named:
                named.add(field)
                if subject.told.enough(rule.id, field):
                    continue
                _report(subject, rule, i, field, failure, row)


def _report(subject: Subject, rule: Rule, i: int, name: str, failure: Failure, row: dict[str, Any]) -> None:
    field = subject.form.by_name[name]
    bounds = _bounds(subject, failure, name, row)
    scale = subject.scale(i, name)
    unit = subject.unit(field, scale)
    given = subject.given(i, name)
    others = [n for n in Expression.names(failure.node) if n != name]
    message = f"{subject.row_name(i)}“{field.zh}”" + ("未填" if given is None else f"填报“{given}”") + f"，{subject.failed(rule)}。"
    beside = [subject.operand(i, n) for n in others if n not in CONTEXT]
    around = [subject.operand(i, n) for n in others if n in CONTEXT and n != "county_code"]
    if beside or around:
        message += "，".join(filter(None, ["同行" + "、".join(beside) if beside else "", "、".join(around)])) + "。"
    expected = [_written(subject, b.value, name, scale) for b in bounds]
    if bounds:
        should = [_should(b) + _shown(subject, b.value, name, scale) + unit for b in bounds]
        message += "该格" + "，或".join(should)
    difference = None
    if bounds and bounds[0].difference is not None:
        difference = _difference(bounds[0].difference, scale)
        message += f"，相差{difference}{unit}"
    if bounds:
        message += "。"
    advice = subject.advice(rule.id) + ("如情况属实，可不改数，请说明原因。" if rule.severity == "warning" else "")
    whole = " 或 ".join(dict.fromkeys(expected)) or None
    subject.add(rule, message, row=i, field=name, expected=whole, difference=difference, advice=advice)


def _bounds(subject: Subject, failure: Failure, field: str, row: dict[str, Any]) -> list[Bound]:
    """What the field would have to be for the failed comparison, or for each alternative of the condition, to hold."""

    def value(node: Any) -> Any:
        return evaluate(node, row, subject.codes.county_of)

    if failure.left is not None:
        bound = _bound(failure.left, failure.sign, failure.right, field, row, value)
        return [bound] if bound else []
    found = []
    alternatives = failure.node.values if isinstance(failure.node, ast.BoolOp) else [failure.node]
    for alternative in alternatives:
        conditions = alternative.values if isinstance(alternative, ast.BoolOp) else [alternative]
        own = [c for c in conditions if field in Expression.names(c)]
        if len(own) != 1 or not all(value(c) for c in conditions if c is not own[0]):
            continue  # this way out is closed by the row's other fields
        match own[0]:
            case ast.Name():
                found.append(Bound("==", True))
            case ast.Compare(left=left, ops=[op], comparators=[right]) if SIGNS[type(op)] in FLIPPED and type(op) is not ast.NotEq:
                found.append(_bound(left, SIGNS[type(op)], right, field, row, value))
    return [b for b in found if b]


def _bound(left: ast.expr, sign: str, right: ast.expr, field: str, row: dict[str, Any], value) -> Bound | None:
    a, b = value(left), value(right)
    if sign not in FLIPPED or a is None or b is None:
        return None
    if isinstance(left, ast.Name) and left.id == field:
        return Bound(sign, b, _minus(a, b))
    if isinstance(right, ast.Name) and right.id == field:
        return Bound(FLIPPED[sign], a, _minus(b, a))
    given = row.get(field)
    if isinstance(given, (int, Decimal)) and isinstance(a, (int, Decimal)):
        # the field is one term of a sum: what remains for it follows from the other terms
        now = a - b
        step = evaluate(ast.BinOp(left, ast.Sub(), right), row | {field: given + 1}) - now
        if step == 1:
            return Bound(sign, given - now, now)
        if step == -1:
            return Bound(FLIPPED[sign], given + now, -now)
    return Bound(sign, b)


def _minus(a: Any, b: Any) -> Any:
    if isinstance(a, bool) or isinstance(b, bool):
        return None
    if isinstance(a, dt.date):
        return a - b
    return a - b if isinstance(a, (int, Decimal)) else None


def _difference(difference: Any, scale: Decimal) -> str:
    if isinstance(difference, dt.timedelta):
        return f"{difference.days}天"
    return plain(Decimal(difference) / scale if scale != 1 else difference)


def _should(bound: Bound) -> str:
    return (_SHOULD_DATE if isinstance(bound.value, dt.date) else _SHOULD)[bound.sign]


def _written(subject: Subject, value: Any, name: str, scale: Decimal) -> str:
    """For the finding's ``expected``: as it would stand in the cell."""
    return plain(value) if isinstance(value, dt.date) else _shown(subject, value, name, scale)


def _shown(subject: Subject, value: Any, name: str, scale: Decimal) -> str:
    field = subject.form.by_name[name]
    if isinstance(value, str) and field.codes in ("township", "village") and value in subject.codes.counties:
        return f"{subject.codes.county_name(value)}所辖{field.zh}"
    if field.type == "date" and isinstance(value, int):
        return f"{value}年内的日期"
    return subject.written(value, field, scale)


def check_declared(subject: Subject, rule: Rule) -> None:
    """A rate that the county worked out itself against ours, to the precision in which it was printed."""
    pairs = rule.definition.get("pairs") or {rule.definition["field"]: rule.definition["expression"]}
    for name, text in pairs.items():
        ratio = expression(text, tuple(subject.form.by_name))
        for i, declared in enumerate(subject.column(name)):
            ours = None if declared is None else ratio.value(subject.row(i, ratio.fields))
            if ours is None:
                continue
            scale = subject.scale(i, name)
            printed = number_in(subject.source_text(i, name) or "")
            digit = Decimal(1).scaleb(min(0, printed.as_tuple().exponent)) if printed is not None else Decimal(0)
            if abs(Decimal(declared) - ours) > digit * scale / 2 + _NOISE and not subject.told.enough(rule.id, name):
                _report_declared(subject, rule, i, name, ratio, ours, declared, scale, digit)


def _report_declared(subject, rule, i, name, ratio, ours, declared, scale, digit) -> None:
    field = subject.form.by_name[name]
    unit = subject.unit(field, scale)
    expected = ours / scale
    if expected < 10**9:
        expected = expected.quantize(max(digit, Decimal("1e-6")), ROUND_HALF_UP)
    difference = plain(Decimal(declared) / scale - expected)
    operands = " ÷ ".join(subject.operand(i, n) for n in ratio.fields)
    message = (
        f"{subject.row_name(i)}“{field.zh}”填报“{subject.given(i, name)}”，{subject.failed(rule)}。"
        f"按{operands}计算应为{plain(expected)}{unit}，相差{difference}{'个百分点' if unit else ''}。"
    )
    subject.add(rule, message, row=i, field=name, expected=plain(expected), difference=difference)


def check_id_number(subject: Subject, rule: Rule) -> None:
    """Identity numbers that GB 11643 does not allow. The number itself stays masked, and no right one is suggested."""
    name = rule.definition["field"]
    provinces = frozenset(subject.codes.provinces)
    born_by = subject.context["as_of_date"] or dt.date.max
    numbers = subject.column(name)
    for i in identity.suspects(numbers, provinces, born_by):
        if (what := identity.fault(numbers[i], provinces, born_by)) and not subject.told.enough(rule.id, name):
            zh = subject.form.by_name[name].zh
            message = f"{subject.row_name(i)}“{zh}”{subject.given(i, name)}{_IDENTITY_FAULTS[what]}，{subject.failed(rule)}。"
            subject.add(rule, message, row=i, field=name)
