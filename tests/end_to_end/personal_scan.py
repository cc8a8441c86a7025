"""Looks for persons of the demonstration data wherever they must not be: every table, and every file of a home."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import psycopg
from psycopg import sql

from demo.generate import DemoSet
from ingestion.contracts import contracts
from warehouse.roles import SCHEMAS
from warehouse.settings import REPOSITORY, Settings

NUMBER = re.compile(r"[0-9A-Za-z]{8,}")  # ID and household numbers stand alone, whatever is around them
CHINESE = re.compile("[\u4e00-\u9fff]{2,}")
ESCAPED = re.compile(r"\\+u([0-9a-fA-F]{4})")  # Chinese as JSON has it, once or twice over: Airflow's XComs, logs of JSON


class Persons:
    """Numbers and names of everybody in the demonstration data."""

    def __init__(self, demo: DemoSet):
        personal = {form.code: [f.name for f in form.fields if f.personal] for form in contracts().forms}
        said = {str(row[name]) for (form, _, _), rows in demo.values.items() for row in rows for name in personal[form] if row.get(name)}
        self.numbers = {word for word in said if NUMBER.fullmatch(word)}
        # a name that is a word of the forms or of a place's name as well would be found everywhere
        words = "".join(p.read_text(encoding="utf-8") for folder in ("dags", "ingestion", "reporting", "expectations") for p in (REPOSITORY / folder).rglob("*") if p.suffix in (".yaml", ".csv", ".py", ".html"))
        self.names = {word for word in said if CHINESE.fullmatch(word) and word not in words}

    def within(self, text: str) -> Iterator[str]:
        text = ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
        yield from (word for word in NUMBER.findall(text) if word in self.numbers)
        for run in CHINESE.findall(text):
            yield from (word for n in (2, 3, 4) for at in range(len(run) - n + 1) if (word := run[at : at + n]) in self.names)


def in_tables(connection: psycopg.Connection, persons: Persons, schemas: Iterable[str] = SCHEMAS) -> list[str]:
    """'schema.table: word' of what is in clear in the database: the warehouse's, or with ("public",) Airflow's."""
    found = []
    relations = connection.execute(
        "select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = any(%s) and c.relkind in ('r', 'v', 'm')", [list(schemas)]
    ).fetchall()
    for schema, name in relations:
        text = "\n".join(line for (line,) in connection.execute(sql.SQL("select t::text from {} t").format(sql.Identifier(schema, name))))
        found += [f"{schema}.{name}: {word}" for word in sorted(set(persons.within(text)))[:3]]
    return found


def in_files(folders: Iterable[Path], persons: Persons) -> list[str]:
    found = []
    for folder in folders:
        for path in (p for p in folder.rglob("*") if p.is_file()):
            data = path.read_bytes()
            for encoding in ("utf-8", "gb18030"):
                found += [f"{path}: {word}" for word in sorted(set(persons.within(data.decode(encoding, "ignore"))))[:3]]
    return found


def of_home(settings: Settings) -> list[Path]:
    """Everything in a home but what is the county's own (outbox), the server's, and what was opened for a person."""
    kept = {"outbox", "opened", "postgres", "inbox", "secrets"}
    return [p for p in settings.home.iterdir() if p.is_dir() and p.name not in kept]
