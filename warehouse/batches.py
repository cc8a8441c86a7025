"""Which task loads which files: a file each in a city, a week or few in a backfill, groups read side by side in a nation.

Loading is one after the other, because versions count in order of arrival and a form is judged by what was accepted
before it. Reading is most of the work and needs neither order nor database. Where a nation's week waits and more tasks
may run than the loader has readers of its own, each task first reads its files (`ingestion.prepared`), side by side
with the others, and then loads as far as everything before has been read.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import psycopg

from warehouse.settings import Settings, WarehouseError

SINGLE = 50  # up to so many waiting files are a task each
GROUPS = 15  # tasks at most otherwise: each costs some three seconds before its first file (process, readers)
SPREAD_FILES = 200  # more waiting files than that are read ahead; for fewer it does not pay
SPREAD_GROUPS = 16
FORKED_FILES = 8
OWN_READERS = 2  # processes in which the loader reads what nobody read ahead (ingestion/load.py)
POOL = "intake"  # Airflow's pool of the loading tasks; its slots are how many run at a time
SLOTS = "WAREHOUSE_INTAKE_SLOTS"
WAITING = "select file_id, sha256, original_name, received_at, sender, size_bytes from intake.file where outcome is null"


@dataclass(frozen=True)
class Batch:
    """Files that one task loads: numbers in order of arrival, what to call them, and whether it reads them ahead of loading."""

    label: str
    file_ids: list[int]
    ahead: bool = False


# -- how many at a time ----------------------------------------------------------------------------


def slots(environment: Mapping[str, str] = os.environ) -> int:
    """Loading tasks that run at a time: WAREHOUSE_INTAKE_SLOTS, else two (one starts while the other loads). Raises WarehouseError."""
    given = environment.get(SLOTS, "").strip() or str(OWN_READERS)
    if not given.isdecimal() or not int(given):
        raise WarehouseError(f"{SLOTS} is {given!r}; it has to be a number of tasks from 1.")
    return int(given)


def make_pool(airflow_url: str, environment: Mapping[str, str] = os.environ) -> None:
    """Airflow's pool for the loading tasks. A number set in Airflow stays, unless WAREHOUSE_INTAKE_SLOTS says another."""
    with psycopg.connect(airflow_url, autocommit=True) as connection:
        connection.execute(
            """insert into slot_pool (pool, slots, description, include_deferred) values (%s, %s, %s, false)
               on conflict (pool) do update set slots = excluded.slots where %s""",
            [POOL, slots(environment), "Tasks that read and load files, at a time", bool(environment.get(SLOTS, "").strip())],
        )


# -- which files -----------------------------------------------------------------------------------


def batches(connection: psycopg.Connection, settings: Settings, single: int = SINGLE, at_most: int = GROUPS) -> list[Batch]:
    """The waiting files in order of arrival: one each up to ``single`` files, else by the week or weeks they came in.

    Where more tasks run at a time (`slots`) than the loader has readers itself, and more than `SPREAD_FILES` wait that nobody
    has read yet: at most `SPREAD_GROUPS` groups of about the same size in bytes, each to be read ahead by its task.
    """
    from ingestion.prepared import Prepared
    from ingestion.rounds import FileRow

    found = connection.execute(f"{WAITING} order by received_at, file_id").fetchall()
    files, sizes = [FileRow(*row[:-1]) for row in found], [row[-1] for row in found]
    if len(files) <= single:
        return [Batch(file.original_name, [file.file_id]) for file in files]
    from warehouse.calendar import week_of

    def came(file: FileRow) -> str:
        return week_of(file.received_at.astimezone(settings.timezone).date())

    spread = slots() > OWN_READERS and len(files) > SPREAD_FILES
    if spread := spread and len(files) - len(Prepared(settings).kept(files)) > SPREAD_FILES:
        groups = evenly(files, sizes, SPREAD_GROUPS)
    else:
        groups = [list(group) for _, group in itertools.groupby(files, key=came)]
        while len(groups) > at_most:
            groups = [list(itertools.chain(*groups[i : i + 2])) for i in range(0, len(groups), 2)]

    def weeks(group: list[FileRow]) -> str:
        return " to ".join(dict.fromkeys((came(group[0]), came(group[-1]))))

    return [Batch(f"{weeks(g)}: {len(g)} files", [file.file_id for file in g], spread) for g in groups]


def evenly(rows: list, sizes: list[int], number: int) -> list[list]:
    """Split into at most so many runs of about the same sum of sizes, in order; none is empty."""
    total, passed, groups = sum(sizes) + len(rows), 0, [[] for _ in range(number)]
    for row, size in zip(rows, sizes, strict=True):
        middle = passed + (size + 1) / 2  # + 1: empty files are work as well
        groups[min(number - 1, int(middle * number / total))].append(row)
        passed += size + 1
    return [group for group in groups if group]


# -- loading them ----------------------------------------------------------------------------------


def load_batch(
    connection: psycopg.Connection, settings: Settings, file_ids: list[int], progress: Callable[..., None] | None = None, *, ahead: bool = False
):
    """Load files and, before them, whatever arrived earlier and still waits: versions count in order of arrival.

    ``ahead``: read these files first, with no lock held, and then load from the front whatever has been read by then,
    others' files as well; what a task still reads is loaded by that one, or by the last of them. Files that are loaded
    already are passed over, so that a task can be repeated.
    """
    from ingestion.load import load

    if ahead and _read(connection, settings, file_ids, progress):
        return load(connection, settings, progress=progress, only_read=True)
    waiting = connection.execute(
        """select file_id from intake.file
           where outcome is null and (received_at, file_id) <= (select received_at, file_id from intake.file
                                                                where file_id = any(%s) order by 1 desc, 2 desc limit 1)
           order by received_at, file_id""",
        [file_ids],
    ).fetchall()
    if not waiting:
        return None
    from warehouse.forked_reader import ForkedReader

    # a fork starts at once; the pool's own processes take a second each, and pay from a handful of files on
    pool = ForkedReader(settings) if len(waiting) <= FORKED_FILES else None
    return load(connection, settings, file_ids=[number for (number,) in waiting], progress=progress, pool=pool)


def _read(connection: psycopg.Connection, settings: Settings, file_ids: list[int], progress: Callable[..., None] | None) -> bool:
    """Read files ahead and keep what comes of them. False where they cannot be kept (a full disk): the loader has to read them."""
    from ingestion.prepared import Prepared, question
    from ingestion.reader_process import Question, ReaderPool
    from ingestion.rounds import FileRow
    from warehouse.forked_reader import ForkedReader

    found = connection.execute(f"{WAITING} and file_id = any(%s) order by received_at, file_id", [file_ids]).fetchall()
    waiting = [FileRow(*row[:-1]) for row in found]
    prepared = Prepared(settings)
    kept = prepared.kept(waiting)
    files = [file for file in waiting if file.sha256 not in kept]
    questions: Iterator[Question] = (question(settings, file) for file in files)
    try:
        with ForkedReader(settings) if len(files) <= FORKED_FILES else ReaderPool(settings, 1) as readers:
            for done, (file, answer) in enumerate(zip(files, readers.read(questions), strict=True), 1):
                prepared.keep(file, answer)
                if progress:
                    progress("read: files", done, len(files))
    except OSError as error:
        if progress:
            progress(f"nothing can be kept ({error.strerror}): read while loading")
        return False
    return True


def outcome_of(connection: psycopg.Connection, file_ids: list[int]) -> str:
    """What became of files, in a few words: county and week of a single one, counts of several."""
    if len(file_ids) == 1:
        name, outcome, counties, weeks = connection.execute(
            """select f.original_name, f.outcome,
                      (select string_agg(distinct county_text, '、') from intake.submission where file_id = f.file_id),
                      (select string_agg(distinct week, ', ') from intake.submission where file_id = f.file_id)
               from intake.file f where file_id = %s""",
            file_ids,
        ).fetchone()
        return " ".join(filter(None, [counties, weeks, name, f"({outcome or 'waiting'})"]))
    rows = connection.execute(
        "select coalesce(outcome, 'waiting'), count(*) from intake.file where file_id = any(%s) group by 1 order by 1", [file_ids]
    ).fetchall()
    return ", ".join(f"{number} {outcome}" for outcome, number in rows)
