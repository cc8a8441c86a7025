"""The dbt project is SQL that PostgreSQL and Spark understand alike; where they differ, macros/dialect.sql says so."""

import re

import pytest

from warehouse.dbt_sources import PROJECT

DIALECT = PROJECT / "macros/dialect.sql"
# what one of the two does not know, or takes for something else (docs/spark.md)
FOREIGN = {
    r"\bto_(char|date|timestamp)\s*\(": "formats differ: day_of_week, week_of, iso_year, iso_week",
    r"\bgenerate_series\b|\bunnest\b": "days_from_to",
    r"\bdistinct\s+on\b": "first_of_each",
    r"::\s*(numeric|text|timestamptz|float)\b|\bas\s+(numeric|text|timestamptz)\b": "on Spark numeric is decimal(10,0), the others are unknown: fraction, or a type both know",
    r"\bat\s+time\s+zone\b|\btime\s+'|\binterval\s+'": "noon_in_the_city, days_from_to",
    r"\b(iso)?dow\b|\biso(week|year)\s+from\b": "iso_week, iso_year",
    r"(_date|_to|_from|monday)\s*-\s*(\w+\.)?\w*_date\b": "a difference of dates is an interval on Spark: days_between",
    r"!?~\*?\s*'|\bsimilar\s+to\b": "regular expressions differ",
    r"->>?|\bjsonb?\b|\barray\s*\[|@>": "documents and arrays differ",
    r'"[a-z_]+"\s*(\.|,|$)': "a quoted name is a string on Spark; write bare names in snake_case",
    r"\bwith\s+recursive\b(?!.*?recursive_union)": "recursive_union between the parts",
    r"\b(now|current_date|current_timestamp)\b": "the clock is a parameter",
}
STATEMENT = re.compile(r"\b(delete\s+from|insert\s+into|update\s+\w+\s+set|truncate|merge\s+into)\b", re.I)


def without_comments(text: str) -> str:
    text = re.sub(r"\{#.*?#\}", "", text, flags=re.S)
    return re.sub(r"--[^\n]*", "", text)


def sql_only(text: str) -> str:
    """The text without comments and dbt's own calls in braces, whose arguments are names."""
    text = re.sub(r"\{\{ config\(.*?\n?\) \}\}", "", text, flags=re.S)
    return re.sub(r"\{%.*?%\}", "", re.sub(r"\{\{(?!.*recursive_union).*?\}\}", "x", without_comments(text)), flags=re.S)


def foreign(text: str) -> list[str]:
    return [f"{found.group(0)!r}: {remedy}" for pattern, remedy in FOREIGN.items() if (found := re.search(pattern, sql_only(text), re.I | re.S | re.M))]


PATHS = sorted(p for folder in ("models", "macros", "tests") for p in (PROJECT / folder).rglob("*.sql") if p != DIALECT)


@pytest.mark.parametrize("path", PATHS, ids=lambda p: p.stem)
def test_nothing_that_only_one_engine_understands_stands_outside_the_dialect(path):
    assert not foreign(path.read_text(encoding="utf-8"))


def test_what_replaces_rows_runs_in_incremental_builds_only():
    """On Spark no build is incremental, so such a statement is never sent there."""
    for path in PATHS:
        text = without_comments(path.read_text(encoding="utf-8"))
        for macro in re.split(r"(?=\{%-? macro )", text):
            assert not STATEMENT.search(macro) or "is_incremental()" in macro.split("delete from")[0], path.name


def test_every_difference_has_both_sides():
    text = DIALECT.read_text(encoding="utf-8")
    dispatched = set(re.findall(r"adapter\.dispatch\('(\w+)'\)", text))
    assert dispatched and set(re.findall(r"macro default__(\w+)\(", text)) == dispatched
    assert dispatched <= set(re.findall(r"macro spark__(\w+)\(", text))
    assert all("adapter.dispatch" not in p.read_text(encoding="utf-8") for p in PATHS), "dispatched macros stand in dialect.sql"


@pytest.mark.parametrize(
    "text",
    [
        "select to_char(d, 'IYYY')", "select r.paid::numeric", "select distinct on (a) a, b from t", "select l.closed_date - l.found_date",
        "select coalesce(l.closed_date, h.as_of_date) from t where d > now()", 'select "week", x from t', "select a from t where b ~ '^x'",
        "with recursive c as (select 1 union select 2) select * from c", "select d + interval '1 day'",
    ],
)  # fmt: skip
def test_the_search_finds_what_it_looks_for(text):
    assert foreign(text)
