"""Pages of publications: what each took in and out, and what it revised."""

from __future__ import annotations

from typing import Any

from psycopg import sql

from reporting.site.pages import Site, numbered, paged

SUBMISSION_ROWS = 600
REVISION_ROWS = 500
REVISIONS_SHOWN = 60  # on the page of a publication itself


def write_ledger(site: Site) -> None:
    marts = _mart_changes(site)
    opened, closed = _submission_changes(site)
    standing = site.stood
    for publication in site.facts.publications:
        number = publication["publication_id"]
        standing += len(opened.get(number, [])) - len(closed.get(number, []))
        publication["submissions"], publication["opened"], publication["closed"] = standing, len(opened.get(number, [])), len(closed.get(number, []))
        lines = [("纳入", *s) for s in opened.get(number, [])] + [("移出", *s) for s in closed.get(number, [])]
        for page, pages, rows in paged(lines, SUBMISSION_ROWS):
            site.page(
                numbered(f"publications/{number}", page), "publication.html", title=f"第 {number} 号发布", p=publication, marts=marts.get(number, []), rows=rows,
                number=page, pages=pages, base=str(number), revisions=site.facts.revisions.get(number, []), shown_revisions=REVISIONS_SHOWN,
                approval=site.facts.approvals.get(publication["check_run_id"]),
            )  # fmt: skip
        _write_revisions(site, publication)
    site.page("publications.html", "publications.html", title="发布台账", rows=list(reversed(site.facts.publications)))


def _write_revisions(site: Site, publication: dict[str, Any]) -> None:
    """All of a publication's revisions, where its own page does not hold them."""
    revisions, number = site.facts.revisions.get(publication["publication_id"], []), publication["publication_id"]
    publication["revised"] = len(revisions)
    if len(revisions) > REVISIONS_SHOWN:
        for page, pages, rows in paged(revisions, REVISION_ROWS):
            site.page(numbered(f"publications/{number}-revisions", page), "revisions.html", title=f"第 {number} 号发布的修订", p=publication, rows=rows, count=len(revisions), number=page, pages=pages)


def _mart_changes(site: Site) -> dict[int, list[tuple[str, str, int, int]]]:
    """By publication: mart, week ('' where a mart has none), row versions opened and closed."""
    tables: dict[str, set[str]] = {}
    for table, column in site.connection.execute("select table_name, column_name from information_schema.columns where table_schema = 'store'"):
        tables.setdefault(table, set()).add(column)
    changes: dict[int, list] = {}
    for table in sorted(t for t, c in tables.items() if {"opened_in", "closed_in"} <= c and t != "publication_submission"):
        week = sql.SQL("week") if "week" in tables[table] else sql.SQL("''")
        query = sql.SQL(
            """select n, week, sum(opened), sum(closed) from (
                 select opened_in as n, {week} as week, count(*) as opened, 0 as closed from store.{table} where opened_in >= {first} group by 1, 2
                 union all select closed_in, {week}, 0, count(*) from store.{table} where closed_in >= {first} group by 1, 2) x
               group by 1, 2 order by 1, 2 desc"""
        ).format(week=week, table=sql.Identifier(table), first=sql.Literal(site.first_publication))
        for number, of_week, opened, closed in site.connection.execute(query):
            changes.setdefault(number, []).append((table, of_week or "", int(opened), int(closed)))
    return changes


def _submission_changes(site: Site) -> tuple[dict[int, list], dict[int, list]]:
    opened: dict[int, list] = {}
    closed: dict[int, list] = {}
    for number, end, *about in site.connection.execute(
        """select p.opened_in, p.closed_in, s.week, s.county_code, s.form, s.version, s.state, s.rows_loaded, s.submission_id, f.original_name
           from store.publication_submission p join intake.submission s using (submission_id) join intake.file f using (file_id)
           where p.opened_in >= %(first)s or p.closed_in >= %(first)s
           order by s.week desc, s.county_code, s.form""",
        {"first": site.first_publication},
    ):
        if number >= site.first_publication:
            opened.setdefault(number, []).append(about)
        if end is not None:
            closed.setdefault(end, []).append(about)
    return opened, closed
