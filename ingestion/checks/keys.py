"""Rules of a form's keys: each expected one exactly once, none twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ingestion.checks.subject import Subject, key_text
from ingestion.contract_model import Form, Rule


def has_own_key_rule(form: Form) -> bool:
    """The form says itself what a repeated key is, so that the general rule keeps quiet."""
    return any(r.check == "complete" or (r.check == "unique_in_year" and r.definition["field"] == form.key.name) for r in form.rules)


def repeated(values: list[Any]) -> Iterator[tuple[int, int]]:
    """(row, first row) of each value that was there before; blanks don't count."""
    present = [v for v in values if v is not None]
    if len(set(present)) == len(present):
        return
    first: dict[Any, int] = {}
    for i, value in enumerate(values):
        if value is not None and first.setdefault(value, i) != i:
            yield i, first[value]


def check_repeated_key(subject: Subject) -> None:
    """GEN-KEY, for forms without a rule of their own."""
    if not subject.form.identity:
        return  # a contract that names no key says that rows may repeat
    names = "、".join(subject.form.by_name[n].zh for n in subject.form.identity) if len(subject.form.identity) > 1 else None
    _report_repeated(subject, subject.general("GEN-KEY"), subject.form.key.name, subject.identities, names)


def check_unique(subject: Subject, rule: Rule) -> None:
    """Numbers that may be used once in a county's year: here within the form, the second one is at fault."""
    _report_repeated(subject, rule, rule.definition["field"])


def _report_repeated(subject: Subject, rule: Rule, name: str, values: Sequence[Any] | None = None, names: str | None = None) -> None:
    zh = names or subject.form.by_name[name].zh
    for i, first in repeated(list(values if values is not None else subject.column(name))):
        if subject.told.enough(rule.id, name):
            continue
        message = (
            f"第{subject.reading.sheet_row[i]}行“{zh}”“{subject.given(i, name)}”与第{subject.reading.sheet_row[first]}行重复，"
            f"{subject.failed(rule)}。"
        )
        advice = subject.advice("GEN-KEY") if rule.check == "complete" else None
        subject.add(rule, message, row=i, field=name, advice=advice)


def missing(subject: Subject, rule: Rule) -> list[str]:
    """Codes that the form should list and doesn't; none while unreadable keys may stand for them."""
    keys = subject.keys
    if rule.definition["of"] == "townships":
        county = subject.reading.county_code
        expected = subject.codes.townships_of(county) if county else []
    else:
        expected = list(subject.form.key.values)
    have = {key_text(k) for k in keys if k is not None}
    absent = [code for code in expected if code not in have]
    unreadable = sum(k is None for k in keys)
    return [] if unreadable >= len(absent) else absent


def check_complete(subject: Subject, rule: Rule) -> None:
    """Every township of the county, or every code of the list, exactly once."""
    key = subject.form.key
    if not subject.has_column(key.name):
        return  # the missing column is one finding, not one for each row it should have had
    _report_repeated(subject, rule, key.name)
    for code in missing(subject, rule):
        name = subject.label(key, code)
        message = f"缺少“{key.zh}”为“{name}”的一行，{subject.failed(rule)}。每个{key.zh}应填且只填一行。"
        subject.add(rule, message, field=key.name, row_key=code, expected=name)
