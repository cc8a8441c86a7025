"""One place where a step becomes visible from outside: its seconds as metrics, its lineage, and how a cycle ended."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import psycopg

from warehouse.observe import lineage, metrics
from warehouse.observe.health import note_cycle
from warehouse.settings import Settings

_doing: ContextVar[str | None] = ContextVar("step", default=None)


@contextlib.contextmanager
def observed(settings: Settings, step: str, connection: psycopg.Connection | None = None) -> Iterator[None]:
    """Around a step: receive, load, build, judge, gate, publish, report."""
    began, failed = time.monotonic(), True
    _doing.set(step)
    try:
        with lineage.run(settings, step, connection):
            yield
        failed = False
    finally:
        metrics.send(metrics.of_step(step, time.monotonic() - began, failed))


def observed_cycle(cycle: Callable[..., Any]) -> Callable[..., Any]:
    """Around a whole cycle, whose first argument is the settings: how it ended is noted in the home and sent as metrics."""

    @functools.wraps(cycle)
    def run(settings: Settings, **options):
        begun_at = dt.datetime.now(settings.timezone)
        _doing.set(None)
        try:
            with lineage.run(settings, "cycle"):
                result = cycle(settings, **options)
        except Exception as error:
            note_cycle(settings, begun_at, None, error, _doing.get())
            raise
        note_cycle(settings, begun_at, result.outcome)
        metrics.send(metrics.of_cycle(result))
        return result

    return run
