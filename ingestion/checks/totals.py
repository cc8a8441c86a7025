"""合计 and 小计 rows against the sums of their rows, and lines that must add up to another line."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

from ingestion.checks.keys import missing, repeated
from ingestion.checks.subject import HALF_A_FEN, Subject
from ingestion.contract_model import Field, Rule
from ingestion.contracts import contracts
from ingestion.grid import squeeze
from ingestion.model import TotalRow


def check_totals(subject: Subject, rule: Rule) -> None:
    """One finding for each column of a total that differs from its rows.

    Not compared: a blank or unreadable total; a column in which a row is unreadable or lacks a required figure;
    anything, while a key is repeated or unreadable, for nobody knows which rows the county added up.
    """
    check_unmarked_total(subject, rule)
    keys = list(subject.identities)
    if not subject.rows or None in subject.keys or (subject.form.identity and next(repeated(keys), None)):
        return
    subtotals = [t for t in subject.totals if _is_subtotal(t)]
    grand = [t for t in subject.totals if not _is_subtotal(t)]
    off_by: dict[str, Decimal] = defaultdict(Decimal)
    for total in subtotals:
        readings = _rows_of_subtotal(subject, rule, total, subtotals)
        for name, difference in _compare(subject, rule, total, readings).items():
            off_by[name] += difference
    for total in grand:
        readings = [list(range(subject.rows))]
        if len(grand) > 1:  # a table that runs on may have one for each part
            readings.append(_rows_before(subject, total, grand))
        _compare(subject, rule, total, readings, known=off_by)


def check_unmarked_total(subject: Subject, rule: Rule) -> None:
    """A row of a free list that is in every column the sum of all the others is a total that does not call itself one."""
    key = subject.form.key
    if not rule.definition.get("printed") or key.values or key.codes not in (None, "identifier") or subject.rows < 4:
        return
    columns = [subject.column(f.name) for f in subject.form.fields if f.adds_up]
    columns = [c for c in columns if None not in c and any(c)]
    if not columns:
        return
    sums = [sum(c) for c in columns]
    for i in range(subject.rows):
        if all(abs(2 * c[i] - total) < HALF_A_FEN for c, total in zip(columns, sums, strict=True)):
            message = f"{subject.row_name(i)}各列都等于其余各行之和，应当是合计行而没有写明，计入会重复计算。请在这一行的“{key.zh}”里写明“合计”。"
            subject.add(subject.general("GEN-VALUE"), message, row=i, field=key.name)
            return


def _is_subtotal(total: TotalRow) -> bool:
    return total.group is not None or any(word in total.label for word in contracts().writing["subtotal_words"])


def _rows_before(subject: Subject, total: TotalRow, all_of_them: list[TotalRow]) -> list[int]:
    """Rows between the previous such total and this one."""
    start = max((t.after_row for t in all_of_them if t.after_row < total.after_row), default=0)
    return list(range(start, total.after_row))


def _rows_after(subject: Subject, total: TotalRow, all_of_them: list[TotalRow]) -> list[int]:
    end = min((t.after_row for t in all_of_them if t.after_row > total.after_row), default=subject.rows)
    return list(range(total.after_row, end))


def _rows_of_subtotal(subject: Subject, rule: Rule, total: TotalRow, subtotals: list[TotalRow]) -> list[list[int]]:
    """The rows that a 小计 may mean, the likeliest first: those of the group it names, those above, those below it."""
    field = subject.form.by_name.get(rule.definition.get("group_by", ""))
    above, below = _rows_before(subject, total, subtotals), _rows_after(subject, total, subtotals)
    by_place = [below, above] if min(t.after_row for t in subtotals) == 0 else [above, below]
    if field is None:
        named = [i for i, key in enumerate(subject.keys) if total.group and squeeze(str(key)) == squeeze(total.group)]  # 甲县 | 小计
        return [rows for rows in ([named] if named else by_place[:1]) if rows]
    group = subject.column(field.name)
    of_one_group = [rows for rows in by_place if rows and len({group[i] for i in rows} - {None}) == 1]
    code = _group_code(field, total)
    if code is not None:
        return [[i for i in range(subject.rows) if group[i] == code], *of_one_group]
    return of_one_group or [rows for rows in by_place if rows]


def _certain(subject: Subject, rule: Rule, total: TotalRow) -> bool:
    """False for a 小计 while a row's group is unreadable: it may be the row that is lacking."""
    return not (_is_subtotal(total) and rule.definition.get("group_by") and None in subject.column(rule.definition["group_by"]))


def _group_code(field: Field, total: TotalRow) -> str | None:
    named = (total.group or "").strip() or total.label.replace("小计", "").strip(" ：:（）()")
    for code, labels in field.values.items():
        if named == code or named in labels:
            return code
    return None


def _compare(
    subject: Subject, rule: Rule, total: TotalRow, readings: list[list[int]], known: dict[str, Decimal] | None = None
) -> dict[str, Decimal]:
    """Report the columns of one total that fit no reading of it; gives their differences.

    A 合计 that is off by just what its 小计 are off by says the same thing again, and is left out.
    """
    off: dict[str, tuple[Decimal, Decimal]] = {}
    compared = 0
    for field in subject.form.fields:
        given = total.values.get(field.name)
        if not field.adds_up or given is None or field.name in total.unreadable:
            continue
        sums = [_sum(subject, field, rows) for rows in readings]
        if not sums or sums[0] is None:
            continue
        compared += 1
        given = Decimal(given)
        least = _printed(subject, total, field) + HALF_A_FEN / 1000 if rule.definition.get("printed") else HALF_A_FEN
        if all(s is None or abs(given - s) >= least for s in sums):
            difference = given - sums[0]
            if not (known and known.get(field.name) and abs(known[field.name] - difference) < HALF_A_FEN):
                off[field.name] = (given, sums[0])
    if (2 * len(off) > compared and _rows_are_missing(subject)) or not _certain(subject, rule, total):
        return {}  # the total may include the row that is missing or has no group, which has its finding
    for name, (given, ours) in off.items():
        _report(subject, rule, total, subject.form.by_name[name], given, ours)
    return {name: given - ours for name, (given, ours) in off.items()}


def _printed(subject: Subject, total: TotalRow, field: Field) -> Decimal:
    """How far a rounded total may be off the sum of rounded rows: half a unit of the last digit of each. Counts are exact."""
    if field.type == "integer":
        return HALF_A_FEN
    scale = _scale(subject, total, field)
    rows = max((_digits(Decimal(v) / scale) for v in subject.column(field.name) if v is not None), default=0)
    if rows <= 0:
        return HALF_A_FEN  # whole numbers are as good as counts
    whole = subject.rows * Decimal(1).scaleb(-rows) + Decimal(1).scaleb(-max(0, _digits(total.values[field.name] / scale)))
    return whole * scale / 2


def _digits(number: Decimal) -> int:
    """Digits behind the point, those that say something."""
    return -number.normalize().as_tuple().exponent


def _sum(subject: Subject, field: Field, rows: Sequence[int]) -> Decimal | None:
    """Sum of a column over rows; blank optional cells aside, None where it cannot be told."""
    column, at_fault = subject.column(field.name), subject.at_fault.get(field.name, set())
    values = [column[i] for i in rows]
    if not values or any(i in at_fault for i in rows) or (field.required and None in values):
        return None
    present = [v for v in values if v is not None]
    return Decimal(sum(present)) if present else None


def _rows_are_missing(subject: Subject) -> bool:
    return any(missing(subject, r) for r in subject.form.rules_of("complete"))


def _report(subject: Subject, rule: Rule, total: TotalRow, field: Field, given: Decimal, ours: Decimal) -> None:
    scale = _scale(subject, total, field)
    unit = subject.unit(field, scale)
    value, expected, difference = (subject.written(n, field, scale) for n in (given, ours, given - ours))
    what = f"{'、'.join(dict.fromkeys((total.group, total.label)))}" if total.group and total.group not in total.label else total.label
    message = (
        f"第{total.sheet_row}行“{what}”的“{field.zh}”填报{value}{unit}，{subject.failed(rule)}。"
        f"各行之和为{expected}{unit}，相差{difference}{unit}。"
    )
    subject.add(
        rule,
        message,
        field=field.name,
        member=total.member,
        sheet=total.sheet,
        cell=total.cells.get(field.name, ""),
        value=value,
        expected=expected,
        difference=difference,
    )


def _scale(subject: Subject, total: TotalRow, field: Field) -> Decimal:
    above = [
        b
        for b in subject.reading.blocks
        if (b.member, b.sheet) == (total.member, total.sheet) and field.name in b.columns and b.header_rows[0] <= total.sheet_row
    ]
    return subject.factor(above[-1], field.name) if above and field.type != "percent" else Decimal(1)


def check_sum_of_rows(subject: Subject, rule: Rule) -> None:
    """One line equals the sum of its parts, field by field; not judged where one of them is missing."""
    keys = list(subject.keys)
    whole, parts = rule.definition["total"], rule.definition["parts"]
    if any(keys.count(k) != 1 for k in (whole, *parts)):
        return
    i = keys.index(whole)
    key = subject.form.key
    for name in rule.definition["fields"]:
        column = subject.column(name)
        given, terms = column[i], [column[keys.index(p)] for p in parts]
        if given is None or None in terms or abs(given - sum(terms)) < HALF_A_FEN:
            continue
        field, scale = subject.form.by_name[name], subject.scale(i, name)
        unit = subject.unit(field, scale)
        expected, difference = (subject.written(n, field, scale) for n in (sum(terms), given - sum(terms)))
        names = "、".join(f"“{subject.label(key, p)}”" for p in parts)
        message = (
            f"{subject.row_name(i)}“{field.zh}”填报“{subject.given(i, name)}”，{subject.failed(rule)}。"
            f"{names}之和为{expected}{unit}，相差{difference}{unit}。"
        )
        subject.add(rule, message, row=i, field=name, row_key="", expected=expected, difference=difference)
