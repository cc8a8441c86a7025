"""Which weeks the pages are made of, so that they cost the same however many lie behind.

The last year of weeks is read and written anew; the pages of earlier weeks and publications stay as they were made,
unless something about such a week was judged again since. What is kept for that stands in ``data/state.json``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import psycopg

WEEKS = 53
STATE = "data/state.json"
LASTING = ("weeks/*.html", "data/*.js", "publications/*.html")

# Distinct weeks from the newest backwards, one look into the index for each
NEWEST = """
with recursive newest as (
    (select week, 1 as number from quality.reporting_status order by week desc limit 1)
    union all
    select (select r.week from quality.reporting_status r where r.week < n.week order by r.week desc limit 1), n.number + 1
    from newest n where n.week is not null and n.number < %s
)
select week from newest where week is not null order by week
"""


def weeks(connection: psycopg.Connection, standing: Path) -> list[str]:
    """The weeks to read, in order: the last year's, and earlier ones judged since the pages in ``standing`` were made."""
    found = [w for (w,) in connection.execute(NEWEST, [WEEKS])]
    state = read_state(standing)
    if found and "check_run" in state:
        again = connection.execute(
            "select distinct week from quality.check_result where check_run_id > %s and week < %s", [state["check_run"], found[0]]
        )
        found = sorted({w for (w,) in again} | set(found))
    return found


def first_publication(connection: psycopg.Connection, standing: Path) -> tuple[int, int]:
    """The first publication whose page is written anew, and the number of submissions that stood in the one before."""
    known = {int(n): count for n, count in read_state(standing).get("standing", {}).items()}
    latest = connection.execute("select coalesce(max(publication_id), 0) from store.publication").fetchone()[0]
    first = max(1, latest - WEEKS + 1)
    before = first - 1
    if before and before not in known:
        counted = "select count(*) from store.publication_submission where opened_in <= %(n)s and (closed_in is null or closed_in > %(n)s)"
        known[before] = connection.execute(counted, {"n": before}).fetchone()[0]
    return first, known.get(before, 0)


def read_state(folder: Path) -> dict:
    """What the pages in a folder were made of; nothing where there are none."""
    try:
        return json.loads((folder / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def keep(standing: Path, draft: Path, state: dict) -> list[str]:
    """Take over into ``draft`` the pages of earlier weeks and publications, and write its state; returns the earlier weeks."""
    kept = []
    for pattern in LASTING:
        for page in sorted(standing.glob(pattern)):
            target = draft / page.relative_to(standing)
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                os.link(page, target)
                if pattern.startswith("weeks") and page.stem.count("-") == 1:
                    kept.append(page.stem)
    (draft / "data").mkdir(exist_ok=True)
    (draft / STATE).write_text(json.dumps(state), encoding="utf-8")
    return kept
