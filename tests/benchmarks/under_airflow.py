"""A week of a city under Airflow against the same week from the command line: services as `make run` starts them."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from demo.generate import write_week
from tests.benchmarks.figure import Figure, Workshop, against, seconds
from tests.benchmarks.weeks import _run
from warehouse.calendar import as_of_date
from warehouse.run import APPROVE, INTAKE, Supervisor
from warehouse.settings import Settings

FIRST_WEEKS = 2  # published before anything is measured


def weekly(shop: Workshop, samples: int) -> list[Figure]:
    """From the drop in the inbox until the report stands. Airflow's own start is not counted, it runs all the time."""
    samples = min(samples, 3)
    weeks = [write_week(shop.folder / f"airflow-w{n}", n, year=2020) for n in range(1, FIRST_WEEKS + samples + 2)]

    def due(demo):
        return dt.datetime.combine(as_of_date(demo.weeks[0]) + dt.timedelta(days=2), dt.time(12, 30), shop.server.settings.timezone)

    outside = []
    with shop.home() as settings:
        for demo in weeks:
            outside.append(_run(settings, demo.folder, due(demo))["wall"])
    home = replace(Settings.from_environment(), home=shop.folder / "airflow", url=None)
    home.prepare()
    inside = []
    supervisor = Supervisor(home, FIRST_WEEKS)
    with supervisor.only_one():
        try:
            supervisor.bring_up()
            supervisor.publish_demonstration()
            supervisor.api.set_variable(APPROVE, "never", "benchmark")
            for demo in weeks[FIRST_WEEKS:]:
                before = supervisor._publications()

                def began(demo=demo, before=before):
                    supervisor._drop(demo.folder)
                    supervisor._trigger(INTAKE)
                    supervisor._watch(demo.weeks[0], before)

                inside.append(seconds(began))
        finally:
            supervisor.shut_down()
    return [
        against(
            "city_week_airflow", 2.0, inside[1:], outside[FIRST_WEEKS + 1 :], files=len(weeks[-1].files),
            peer_is="`warehouse cycle` on the same files, a process with its imports",
        )
    ]  # fmt: skip
