"""Thirty publications with corrections, late files, empty forms and withdrawals in random order: each can be read again.

The marts are made by dbt once; after that its compiled models are run as they are (`quick_build`), so that thirty builds
take seconds. Eight readers go on reading all the while, the latest publication and earlier ones.
"""

import datetime as dt
import itertools
import random
import threading
from collections import defaultdict
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from quick_build import quick_build
from warehouse_rows import submit

from warehouse import database
from warehouse.build import build
from warehouse.publication import holds, publish, release, verify, withdraw
from warehouse.publication.store import Mart, candidate_marts
from warehouse.settings import Settings

pytestmark = [pytest.mark.database, pytest.mark.slow]
COUNTIES = ("451022", "451024", "451026")
FIRST_WEEK, PUBLICATIONS, SEED = 20, 30, 20200614
_numbers = itertools.count(1)


def week(number: int) -> str:
    return f"2020-W{number}"


@dataclass
class History:
    settings: Settings
    copies: dict[int, dict[str, dict]] = field(default_factory=dict)  # publication → mart → key → row
    actions: list[str] = field(default_factory=list)
    revisions: dict[int, set] = field(default_factory=dict)
    idle_after_withdrawal: list = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    rebuilt: object = "not yet"
    candidates: dict[str, set] = field(default_factory=dict)  # mart → rows, after everything was built again
    hashes: dict[int, dict[str, str]] = field(default_factory=dict)  # publication → view → hash of its rows, as it was made
    seen: dict[str, list[tuple[int, dict[str, str]]]] = field(default_factory=lambda: defaultdict(list))  # reader → what it read
    errors: list[str] = field(default_factory=list)


def contents(connection, marts: list[Mart]) -> dict[str, dict]:
    found = {}
    for mart in marts:
        names = [*mart.key, *(c for c in mart.columns if c not in mart.key)]
        rows = connection.execute(f"select {', '.join(names)} from marts.{mart.name}").fetchall()
        found[mart.name] = {row[: len(mart.key)]: dict(zip(names, row, strict=True)) for row in rows}
    return found


# ---------------------------------------------------------------- readers


def views(connection) -> list[str]:
    """Every view that a reader finds in marts: facts, dimensions, overviews, the ledger and the revisions."""
    return [name for (name,) in connection.execute("select viewname from pg_views where schemaname = 'marts' order by 1")]


def read_all(connection, names: list[str], source: str = "marts.{}") -> tuple[int, dict[str, str]]:
    """(publication, hash of all rows by view), in one statement."""
    parts = [f"select '{n}' as view, md5(coalesce(string_agg(t::text, '|' order by t::text collate \"C\"), '')) as hash from {source.format(n)} t" for n in names]
    return connection.execute(f"select store.reading_publication(), jsonb_object_agg(view, hash) from ({' union all '.join(parts)}) everything").fetchone()


class Readers:
    """Eight of them, each in a loop: the latest publication, an earlier one by setting, an earlier one by function."""

    def __init__(self, told: History):
        self.told, self.ended = told, threading.Event()
        kinds = [self.latest] * 4 + [self.by_setting] * 2 + [self.by_function] * 2
        self.threads = [threading.Thread(target=self.loop, args=(kind, f"{kind.__name__} {n}", n)) for n, kind in enumerate(kinds)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def loop(self, read, name: str, seed: int) -> None:
        draw = random.Random(seed)
        with database.connect(self.told.settings, autocommit=True) as connection:
            connection.execute("set lock_timeout = '50ms'")  # who waits longer for a publication has noticed it
            while not self.ended.wait(0.25):
                try:
                    self.told.seen[name].append(read(connection, draw))
                except psycopg.Error as error:
                    self.told.errors.append(f"{name}: {error!r}")

    def latest(self, connection, draw) -> tuple[int, dict[str, str]]:
        return read_all(connection, views(connection))

    def by_setting(self, connection, draw) -> tuple[int, dict[str, str]]:
        connection.execute(f"set warehouse.publication = '{self.earlier(draw)}'")
        try:
            return read_all(connection, views(connection))
        finally:
            connection.execute("reset warehouse.publication")

    def by_function(self, connection, draw) -> tuple[int, dict[str, str]]:
        number = self.earlier(draw)
        latest, hashes = read_all(connection, views(connection), f"marts.as_published(null::marts.{{}}, {number})")
        assert latest >= number  # the session itself still reads the latest
        return number, hashes

    def earlier(self, draw) -> int:
        return draw.randint(1, max(self.told.hashes))


# ---------------------------------------------------------------- what may happen


class Chance:
    """A seeded county office: weeks arrive, files come late, are corrected, or come empty."""

    def __init__(self, connection):
        self.connection, self.random = connection, random.Random(SEED)
        self.last = FIRST_WEEK

    def form(self, county: str, number: int, form: str) -> None:
        draw = self.random
        if form == "COP03":
            names = draw.sample(["online", "fair", "direct", "procurement"], draw.randint(1, 3))
            rows = [{"channel": n, "sales": Decimal(draw.randint(1, 9999)) / 100 + 100 * number, "poor_persons_benefited": draw.randint(1, 50)} for n in names]
        elif form == "IND02":
            rows = [{"payment_no": f"P{county}{number}{n}", "amount": Decimal(draw.randint(100, 500))} for n in range(draw.randint(1, 3))]
        elif form == "REC01":
            rows = [{"finding_no": f"N{n}", "status": draw.choice(["open", "in_progress"]), "due_date": dt.date(2020, 5, 20)} for n in range(draw.randint(1, 4))]
        else:
            rows = [{"site_code": f"S{n}", "township": f"{county}100", "site_name": draw.choice(["一区", "二区"])} for n in range(draw.randint(1, 3))]
        if form in ("COP03", "IND02") and draw.random() < 0.1:
            rows = []  # 空报
        submit(self.connection, form, county, week(number), rows)

    def next_week(self) -> None:
        self.last += 1
        for county in COUNTIES:
            for form in ("COP03", "IND02", "REC01", "REL01"):
                if self.random.random() < 0.7:
                    self.form(county, self.last, form)

    def late_or_corrected(self) -> None:
        for _ in range(self.random.randint(1, 3)):
            form = self.random.choice(["COP03", "IND02", "REC01", "REL01"])
            self.form(self.random.choice(COUNTIES), self.random.randint(FIRST_WEEK, self.last), form)


@pytest.fixture(scope="module")
def history(server, template, tmp_path_factory) -> History:
    name = f"history_{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"create database {name} template {template} strategy file_copy")
    home = tmp_path_factory.mktemp("history")
    told = History(replace(Settings.from_environment(), home=Path(home), url=server.rsplit("/", 1)[0] + "/" + name))
    told.settings.prepare()
    with database.connect(told.settings, autocommit=True) as connection:
        live(told, connection)
    yield told
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"drop database {name} with (force)")


def live(told: History, connection) -> None:
    chance = Chance(connection)
    for county in COUNTIES:
        with connection.transaction():
            for form in ("COP03", "IND02", "REC01", "REL01"):
                chance.form(county, FIRST_WEEK, form)
    build(told.settings, publish_week=week(FIRST_WEEK))
    marts = candidate_marts(connection)

    def keep(number: int, action: str) -> None:
        told.copies[number] = contents(connection, marts)
        told.hashes[number] = read_all(connection, views(connection))[1]
        told.actions.append(action)
        rows = connection.execute("select mart, county_code, week, row_key, column_name, kind, old_value, new_value from marts.fct_revision where publication_id = %s", [number])
        told.revisions[number] = set(rows)

    keep(publish(connection, told.settings, check_run_id=None, approved_by="审核人").publication_id, "first")
    with Readers(told):
        go_on(told, connection, chance, marts, keep)
    told.faults = verify(connection)
    horizon = connection.execute("select publish_week from ops.build_run order by build_run_id desc limit 1").fetchone()[0]
    quick_build(connection, told.settings, marts, horizon, everything=True)
    told.rebuilt = publish(connection, told.settings, check_run_id=None, approved_by="审核人")
    for mart in marts:
        names = [*mart.key, *(c for c in mart.columns if c not in mart.key)]
        told.candidates[mart.name] = set(connection.execute(f"select {', '.join(names)} from candidate.{mart.name}"))


def go_on(told: History, connection, chance: Chance, marts: list[Mart], keep) -> None:
    while len(told.copies) < PUBLICATIONS:
        action = chance.random.choices(["week", "correction", "withdrawal", "release"], [3, 6, 3, 1])[0]
        before = connection.execute("select publish_week from ops.build_run where succeeded order by build_run_id desc limit 1").fetchone()[0]
        if action == "withdrawal":
            if told.actions[-1] in ("first", "withdrawal"):
                continue
            keep(withdraw(connection, told.settings, reason="误发布", by="审核人").publication_id, action)
            # without anything new the next cycle publishes nothing
            horizon = connection.execute("select publish_week from ops.build_run order by build_run_id desc limit 1").fetchone()[0]
            quick_build(connection, told.settings, marts, horizon)
            told.idle_after_withdrawal.append(publish(connection, told.settings, check_run_id=None, approved_by="审核人"))
            continue
        with connection.transaction():
            if action == "week":
                chance.next_week()
            elif action == "correction":
                chance.late_or_corrected()
            elif not holds(connection):
                continue
        if action == "release":
            held = [h["submission_id"] for h in holds(connection)]
            release(connection, by="审核人", submission_ids=chance.random.sample(held, chance.random.randint(1, len(held))))
        newest = connection.execute("select max(week) from intake.accepted_submission").fetchone()[0]
        quick_build(connection, told.settings, marts, max(before, newest))
        publication = publish(connection, told.settings, check_run_id=None, approved_by="审核人")
        if publication:
            keep(publication.publication_id, action)


def test_the_history_holds_what_it_should(history):
    assert sorted(history.copies) == list(range(1, PUBLICATIONS + 1))
    assert history.actions.count("withdrawal") >= 4 and history.actions.count("correction") >= 8 and history.actions.count("week") >= 4
    assert "release" in history.actions


def test_every_publication_is_read_again_row_by_row_as_it_was(history):
    with database.connect(history.settings, autocommit=True) as connection:
        marts = candidate_marts(connection)
        for number, copy in history.copies.items():
            connection.execute(f"set warehouse.publication = '{number}'")
            assert contents(connection, marts) == copy, f"publication {number} ({history.actions[number - 1]})"
            assert connection.execute("select max(publication_id) from marts.fct_revision").fetchone()[0] in (None, *range(1, number + 1))


def test_every_view_gives_what_it_gave_then_by_setting_and_by_function(history):
    """Facts, dimensions, overviews, the ledger and the revisions: `SET warehouse.publication` and `marts.as_published` alike."""
    with database.connect(history.settings, autocommit=True) as connection:
        names = views(connection)
        assert len(names) > 40 and {"dim_publication", "dim_submission", "fct_revision"} < set(names)
        for number, hashes in history.hashes.items():
            assert hashes.keys() == set(names)
            connection.execute(f"set warehouse.publication = '{number}'")
            assert read_all(connection, names) == (number, hashes), f"publication {number} ({history.actions[number - 1]})"
            connection.execute("reset warehouse.publication")
            assert read_all(connection, names, f"marts.as_published(null::marts.{{}}, {number})")[1] == hashes


def test_eight_readers_met_whole_publications_and_no_error_and_waited_for_nobody(history):
    assert history.errors == []
    readings = [reading for seen in history.seen.values() for reading in seen]
    assert len(history.seen) == 8 and len(readings) >= PUBLICATIONS
    for number, hashes in readings:
        assert hashes == history.hashes[number], f"publication {number}"
    for name, seen in history.seen.items():
        numbers = [number for number, _ in seen]
        assert not name.startswith("latest") or numbers == sorted(numbers)
    assert len({number for number, _ in readings}) >= PUBLICATIONS // 2


def test_two_publications_are_compared_in_one_statement(history):
    query = """select count(*) from marts.as_published(null::marts.fct_consumption_weekly, %s) a
               full join marts.as_published(null::marts.fct_consumption_weekly, %s) b using (week, county_code, channel) where a.sales is distinct from b.sales"""
    with database.connect(history.settings, autocommit=True) as connection:
        number = next(n for n, action in enumerate(history.actions, 1) if action == "week")
        assert connection.execute(query, [number, number]).fetchone() == (0,)
        assert connection.execute(query, [number - 1, number]).fetchone()[0] > 0
        assert connection.execute("select store.reading_publication(), current_setting('warehouse.publication', true)").fetchone()[0] == PUBLICATIONS


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("set warehouse.publication = '99'; select count(*) from marts.dim_week", "There is no publication 99."),
        ("select count(*) from marts.as_published(null::marts.dim_week, 99)", "There is no publication 99."),
        ("select count(*) from marts.as_published(null::store.dim_week, 1)", "store.dim_week is no mart"),
    ],
)
def test_a_publication_or_a_mart_that_is_not_there_is_told(history, statement, sentence):
    with database.connect(history.settings, autocommit=True) as connection, pytest.raises(psycopg.errors.InvalidParameterValue, match=sentence):
        connection.execute(statement)


def test_a_withdrawal_gives_the_content_before_and_stays_until_something_new_comes(history):
    for number, action in enumerate(history.actions, 1):
        if action == "withdrawal":
            with database.connect(history.settings, autocommit=True) as connection:
                restored = connection.execute("select restores from store.publication where publication_id = %s", [number]).fetchone()[0]
            assert history.copies[number] == history.copies[restored]
    assert history.idle_after_withdrawal and set(history.idle_after_withdrawal) == {None}


def test_nothing_was_altered(history):
    assert history.faults == []


def test_building_every_slice_again_changes_nothing(history):
    assert history.rebuilt is None
    last = history.copies[PUBLICATIONS]
    for mart, rows in history.candidates.items():
        assert rows == {tuple(row.values()) for row in last[mart].values()}, mart


def text(value) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else value.isoformat() if isinstance(value, dt.date) else str(value)


def difference(mart: Mart, old: dict, new: dict) -> set:
    """What changed between two copies, found by comparing them: the same weeks, all columns but the technical ones."""
    weeks = {k[0] for k in old["dim_week"]} & {k[0] for k in new["dim_week"]}
    by = "last_seen_week" if mart.accumulating else "week"
    before, after, found = old[mart.name], new[mart.name], set()
    for key in before.keys() | after.keys():
        was, now = before.get(key), after.get(key)
        if any(row and row[by] not in weeks for row in (was, now)):
            continue
        left_out = {*mart.key, "county_code", "week", "as_of_date", "submission_id", "source_row_no"}
        if mart.accumulating and was and now and was["as_of_date"] != now["as_of_date"]:
            left_out |= {"days_open", "is_overdue"}
        row = now or was
        kind = "revised" if was and now else "added" if now else "removed"
        for name in row.keys() - left_out:
            a, b = was and was[name], now and now[name]
            if a != b:
                found.add((mart.name, row["county_code"], row[by], str(key[-1]), name, kind, text(a), text(b)))
    return found


def test_revisions_are_what_differs_from_the_publication_before(history):
    with database.connect(history.settings, autocommit=True) as connection:
        marts = [m for m in candidate_marts(connection) if m.form]
    total = 0
    for number in range(2, PUBLICATIONS + 1):
        expected = set().union(*(difference(m, history.copies[number - 1], history.copies[number]) for m in marts))
        assert history.revisions[number] == expected, f"publication {number} ({history.actions[number - 1]})"
        total += len(expected)
    assert history.revisions[1] == set() and total > 100


def test_lists_of_submissions_and_holds_refuse_changes(history):
    with database.connect(history.settings, autocommit=True) as connection:
        for statement in (
            "delete from store.publication_submission",
            "update store.publication_submission set opened_in = 1",
            "update store.publication_submission set closed_in = null where closed_in is not null",
            "update store.revision set new_value = '0'",
            "truncate store.revision",
            "delete from intake.hold",
            "update intake.hold set reason = 'x'",
            "update intake.hold set released_at = null, released_by = null where released_at is not null",
            "update store.fct_consumption_weekly set closed_in = null where closed_in is not null",
        ):
            with pytest.raises(psycopg.errors.RestrictViolation):
                connection.execute(statement)

