"""What each role may do, found out by trying: every action on every object, with a login of its own."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

import psycopg
from psycopg import sql

from warehouse.roles import AUDITOR, BI_READER, LOADER, PUBLISHER, SCHEMAS, TRANSFORMER
from warehouse.settings import REPOSITORY

PAGE = REPOSITORY / "docs" / "roles.md"
COUNTY = "451002"
ROLES = {
    LOADER: "loader", TRANSFORMER: "transformer", PUBLISHER: "publisher", BI_READER: "bi_reader", AUDITOR: "auditor", f"county_{COUNTY}": "county", "stranger": "no group",
}  # fmt: skip
FUNCTIONS = {
    "quality.trace_cell": "select * from quality.trace_cell('fct_employment_weekly', null, '451002', '2020-W23', 'x', 'employed_away')",
    "store.trace_cell": "select * from store.trace_cell('fct_employment_weekly', null, '451002', '2020-W23', 'x', 'employed_away')",
    "store.latest_publication": "select store.latest_publication()",
}
OTHER = {
    "create a temporary table": "create temporary table mine (a integer)",
    "create a schema": "create schema mine",
    "set role warehouse_publisher": "set role warehouse_publisher",
    "set role county_451026": "set role county_451026",
    "read pg_authid": "select * from pg_authid",
    "read a file of the server": "select pg_read_file('PG_VERSION')",
    "run a program": "copy (select 1) to program 'true'",
    "create an extension": "create extension vector",
}
Matrix = dict[str, dict[str, str]]  # object → role → what it may do


def relations(connection: psycopg.Connection) -> list[tuple[str, str, list[str]]]:
    """(schema, relation, columns) of everything there is."""
    return connection.execute(
        """select n.nspname, c.relname, array_agg(a.attname::text order by a.attnum) from pg_class c join pg_namespace n on n.oid = c.relnamespace
           join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
           where n.nspname = any(%s) and c.relkind in ('r', 'v', 'm') group by 1, 2 order by 1, 2""",
        [list(SCHEMAS)],
    ).fetchall()


# Tried on the server, so that a few thousand attempts are one question; each is undone, whatever came of it.
TRY = """
do $try$
declare
    statement text;
begin
    foreach statement in array {}::text[] loop
        begin
            execute statement;
            raise exception using errcode = 'P0099';
        exception
            when insufficient_privilege or wrong_object_type or object_not_in_prerequisite_state or feature_not_supported then raise notice 'refused';
            when others then raise notice 'allowed %', sqlstate;  -- a missing value, an append-only trigger: the right itself was there
        end;
    end loop;
end $try$"""


def attempts(connection: psycopg.Connection, statements: list[str]) -> list[bool]:
    """Which statements get past the question of rights."""
    said: list[bool] = []

    def hear(notice):
        if notice.message_primary.startswith(("allowed", "refused")):
            said.append(notice.message_primary.startswith("allowed"))

    connection.add_notice_handler(hear)
    try:
        connection.execute(sql.SQL(TRY).format(sql.Literal(statements)))
    finally:
        connection.remove_notice_handler(hear)
    assert len(said) == len(statements)
    return said


def may(connection: psycopg.Connection, statement: str) -> bool:
    return attempts(connection, [statement])[0]


def on_relation(connection: psycopg.Connection, schema: str, name: str, columns: list[str]) -> dict[str, str]:
    """Letter → the statement that tries it. Columns one by one only where rights go by columns."""
    table = sql.Identifier(schema, name).as_string(connection)
    named = [sql.Identifier(c).as_string(connection) for c in columns]
    tried = {
        "S": f"select * from {table}",
        "I": f"insert into {table} default values",
        "U": f"update {table} set {named[-1]} = null where false",
        "D": f"delete from {table} where false",
        "T": f"truncate {table}",
    }
    return tried | ({f"c{n}": f"select {c} from {table}" for n, c in enumerate(named)} if schema == "raw" else {})


def try_all(connections: dict[str, psycopg.Connection], known: list[tuple[str, str, list[str]]]) -> Matrix:
    """Everything, for every role; ``connections`` are logins that are members of one group each.

    'S' all rows and columns, 's' own rows of the county, 'c' some columns; 'I', 'U', 'D', 'T' insert, update, delete, truncate; 'X' done.
    """
    found: Matrix = defaultdict(dict)
    for role, connection in connections.items():
        plan = [(f"{schema}.{name}", letter, text) for schema, name, columns in known for letter, text in on_relation(connection, schema, name, columns).items()]
        plan += [(f"create in {schema}", "X", f"create table {schema}.mine (a integer)") for schema in SCHEMAS]
        plan += [(name, "X", text) for name, text in (FUNCTIONS | OTHER).items()]
        done = attempts(connection, [text for _, _, text in plan])
        for (name, letter, _), allowed in zip(plan, done, strict=True):
            told = found[name].setdefault(role, "")
            if allowed and not (letter[0] == "c" and set(told) & {"S", "c"}):
                found[name][role] += letter[0]
        for schema, name, columns in known:
            if "county_code" in columns and "S" in found[f"{schema}.{name}"][role]:
                whose = whose_rows(connection, schema, name)
                found[f"{schema}.{name}"][role] = found[f"{schema}.{name}"][role].replace("S", whose)
    settle(found)
    return found


def whose_rows(connection: psycopg.Connection, schema: str, name: str) -> str:
    """'S' where rows of other counties are seen, 's' where only own ones, '?' where there is none at all."""
    table = sql.Identifier(schema, name)
    if connection.execute(sql.SQL("select exists (select from {} where county_code not in (%s, '*'))").format(table), [COUNTY]).fetchone()[0]:
        return "S"
    return "s" if connection.execute(sql.SQL("select exists (select from {})").format(table)).fetchone()[0] else "?"


def settle(found: Matrix) -> None:
    """Of a relation that holds no other county's rows nobody can tell who would see them: it goes by the rule for its kind."""
    everyone = (LOADER, TRANSFORMER, PUBLISHER, BI_READER, AUDITOR)
    for by_role in found.values():
        if not any("S" in told for told in by_role.values()):
            for role, told in by_role.items():
                by_role[role] = told.replace("?", "s").replace("s", "S" if role in everyone else "s")
        else:
            for role, told in by_role.items():
                by_role[role] = told.replace("?", "s")


# ---------------------------------------------------------------- the page

WORDS = {"S": "read", "s": "read own rows", "c": "read, without personal columns", "I": "insert", "U": "update", "D": "delete", "T": "truncate", "X": "yes"}


def in_words(told: str) -> str:
    return ", ".join(WORDS[letter] for letter in told) or "–"


def lines(found: Matrix) -> Iterator[str]:
    """The matrix as Markdown: of each schema what most relations have in common, then those that differ, by name."""
    header = f"| object | {' | '.join(ROLES.values())} |"
    rule = "|---|" + "---|" * len(ROLES)

    def row(name, told):
        return f"| {name} | {' | '.join(in_words(t) for t in told)} |"

    yield from (header, rule)
    for schema in SCHEMAS:
        of = {name: tuple(by_role.get(role, "") for role in ROLES) for name, by_role in found.items() if name.startswith(f"{schema}.") and name not in FUNCTIONS}
        if not of:
            continue
        common = Counter(of.values()).most_common(1)[0][0]
        yield row(f"`{schema}`: every relation" + (" but" if set(of.values()) != {common} else ""), common)
        others = defaultdict(list)
        for name, told in sorted(of.items()):
            if told != common:
                others[told].append(name)
        for told, names in others.items():
            yield row("<br>".join(f"`{n}`" for n in names), told)
    for name, by_role in found.items():
        if "." not in name or name in FUNCTIONS:
            yield row(f"`{name}()`" if name in FUNCTIONS else name, [by_role.get(role, "") for role in ROLES])


BEGIN, END = "<!-- the matrix: written by `make roles`, tried by tests/integration/test_roles.py -->", "<!-- end of the matrix -->"


def on_page(text: str) -> str:
    return text.split(BEGIN, 1)[1].split(END, 1)[0].strip()


def write(found: Matrix) -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, after = text.split(BEGIN, 1)[0], text.split(END, 1)[1]
    PAGE.write_text(f"{before}{BEGIN}\n\n" + "\n".join(lines(found)) + f"\n\n{END}{after}", encoding="utf-8")
