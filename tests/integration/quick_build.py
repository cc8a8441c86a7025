"""A build without dbt around it: the models that dbt has compiled once are run as they are, so that a build takes a moment."""

from __future__ import annotations

import functools
import re
from pathlib import Path

from warehouse.build import _close_run, _note_followers, _open_run
from warehouse.publication.store import Mart
from warehouse.settings import Settings

MOVING = ("dim_week", "dim_submission", "dim_cooperation_project", "dim_resettlement_site")



@functools.cache
def compiled(home: Path) -> dict[str, str]:
    return {p.stem: p.read_text(encoding="utf-8") for p in (home / "dbt/target/compiled/county_warehouse/models").rglob("*.sql")}


def quick_build(connection, settings: Settings, marts: list[Mart], last: str, everything: bool = False) -> bool:
    """Make the pending slices up to a week; False where there was nothing to do. The settings' home must have seen a build by dbt."""
    models = {name: re.sub(r'"\w+"\.("\w+"\.)', r"\1", text) for name, text in compiled(settings.home).items()}  # of whatever database
    with connection.transaction():
        _note_followers(connection, last, everything=everything)
        (project,) = connection.execute("select project_hash from ops.build_run where project_hash is not null order by build_run_id desc limit 1").fetchone()
        run, _, forms = _open_run(connection, last, project, False)
        if run is None:
            return False
        connection.execute("delete from intermediate.int_reporting__slice")
        columns = [d.name for d in connection.execute("select * from intermediate.int_reporting__slice").description]
        connection.execute(f"insert into intermediate.int_reporting__slice select {', '.join(columns)} from ({models['int_reporting__slice']}) m")
        for mart in sorted(marts, key=lambda m: (m.form is not None, m.name != "dim_week")):  # dimensions first, the weeks before all
            names = ", ".join(mart.columns)
            if mart.name not in models:
                continue
            rows = f"insert into candidate.{mart.name} ({names}) select {names} from ({models[mart.name]}) m"
            if mart.name in MOVING:
                changes = ", ".join(f"{c} = excluded.{c}" for c in mart.columns)
                connection.execute(f"{rows} on conflict ({', '.join(mart.key)}) do update set {changes}")
            elif mart.form in forms:
                place = "county_code" if mart.accumulating else "county_code, week"
                connection.execute(f"delete from candidate.{mart.name} where ({place}) in (select {place} from intermediate.int_reporting__slice where form = %s)", [mart.form])
                connection.execute(rows)
        _close_run(connection, run, None)
    return True
