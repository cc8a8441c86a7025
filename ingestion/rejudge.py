"""Returned forms looked at again, after a waiver was granted: the archived original becomes a new version.

What the county sent and when stays what it was: the same file, the same time of receipt. Only the forms concerned
are loaded again; the other forms of the file keep the version they have.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import psycopg

from ingestion.load import LoadResult, _answers, _Loader, _only_loader
from ingestion.prepared import Prepared
from ingestion.reader_process import ReaderPool
from ingestion.rounds import FileRow
from ingestion.waived import HOLDS
from warehouse.roles import LOADER, as_role
from warehouse.settings import Settings


@dataclass(frozen=True, slots=True)
class Returned:
    """A returned form that nothing has taken the place of."""

    submission_id: int
    file_id: int
    form: str
    county_code: str
    week: str


RETURNED = f"""
select distinct s.submission_id, s.file_id, s.form, s.county_code, s.week
from quality.waiver w
cross join quality.finding f
join intake.submission s on s.submission_id = f.submission_id
where w.waiver_id = %(waiver)s and {HOLDS.format(day="(s.received_at at time zone %(zone)s)::date")}
  and s.state = 'returned' and f.severity = 'error' and f.status = 'open'
  and not exists (select from intake.submission later
                  where (later.form, later.county_code, later.week) = (s.form, s.county_code, s.week) and later.version > s.version)
order by s.submission_id"""

# What becomes of a file whose forms have a newer version of the same file
OUTCOME = """
with newest as (
    select distinct on (form, county_code, week) state <> 'returned' as accepted
    from intake.submission where file_id = %(file)s order by form, county_code, week, version desc, submission_id desc
), summary as (
    select bool_or(accepted) as any_accepted, bool_and(accepted) and not exists (
        select from quality.finding f where f.file_id = %(file)s and f.submission_id is null and f.severity = 'error') as all_accepted
    from newest
)
update intake.file set message_zh = %(message)s, finished_at = clock_timestamp(),
       outcome = case when all_accepted then 'loaded' when any_accepted then 'partly_loaded' else 'returned' end
from summary where file_id = %(file)s"""

# Late it was and late it stays: nobody sent anything anew
STILL_LATE = """
update intake.submission s set state = 'late'
where s.submission_id > %(after)s and s.file_id = %(file)s and s.state = 'corrected'
  and not exists (select from intake.submission o where (o.form, o.county_code, o.week) = (s.form, s.county_code, s.week)
                  and o.version < s.version and o.file_id <> s.file_id)"""


def returned_under(connection: psycopg.Connection, waiver_id: int, settings: Settings) -> list[Returned]:
    """Forms that were returned for a violation that this waiver is about, and that nothing has replaced."""
    rows = connection.execute(RETURNED, {"waiver": waiver_id, "zone": str(settings.timezone)})
    return [Returned(*row) for row in rows]


@as_role(LOADER)
def read_again(connection: psycopg.Connection, settings: Settings, forms: list[Returned], pool: ReaderPool | None = None, workers: int | None = 1) -> LoadResult:
    """Read the originals of some returned forms again and load these forms, each as its next version.

    The files keep their time of receipt; their outcome and message are brought up to date. A form that cannot be read
    any more stays as it is.
    """
    wanted: dict[int, set[tuple]] = defaultdict(set)
    for one in forms:
        wanted[one.file_id].add((one.form, one.county_code, one.week))
    result = LoadResult()
    with _only_loader(connection):
        files = [
            FileRow(*row)
            for row in connection.execute(
                "select file_id, sha256, original_name, received_at, sender from intake.file where file_id = any(%s) order by received_at, file_id", [list(wanted)]
            )
        ]
        (after,) = connection.execute("select coalesce(max(submission_id), 0) from intake.submission").fetchone()
        connection.commit()
        read = []
        with _answers(settings, files, workers, pool, Prepared(settings)) as answers:
            loader = _Loader(connection, settings, result)
            for file, answer in zip(files, answers, strict=True):
                prepared = answer.file
                prepared.forms = [f for f in prepared.forms if (f.reading.form, f.reading.county_code, f.reading.week) in wanted[file.file_id]]
                prepared.findings = []  # of the file itself: told when it came
                if prepared.forms and not prepared.refusal_zh:
                    loader.add(file, prepared)
                    read.append(file.file_id)
            loader.finish()
        messages = {o.file_id: o.message_zh for o in result.files}
        with connection.transaction():
            for file_id in read:
                late = connection.execute(STILL_LATE, {"after": after, "file": file_id}).rowcount
                result.states.update(late=late, corrected=-late)
                connection.execute(OUTCOME, {"file": file_id, "message": "经豁免后重新审核：" + messages[file_id]})
    result.states = +result.states  # none that came to nothing
    return result
