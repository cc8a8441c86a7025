"""Loading one file, as a process of its own: ``python -m tests.benchmarks.loading FILE`` (WAREHOUSE_HOME, WAREHOUSE_URL)."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import psycopg

from demo.payouts import RECEIVED
from ingestion.load import LoadResult, load
from ingestion.receive import receive
from warehouse import database
from warehouse.settings import Settings


def receive_one(connection: psycopg.Connection, settings: Settings, path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=settings.home) as drop:
        shutil.copy(path, drop)
        arrivals = Path(drop) / "arrivals.csv"
        arrivals.write_text(f"path,received_at\n{path.name},{RECEIVED}\n", encoding="utf-8")
        receive(connection, settings, Path(drop), arrivals=arrivals)


def load_all(connection: psycopg.Connection, settings: Settings, rows: int | None = None) -> LoadResult:
    """Load what waits. Raises AssertionError unless ``rows`` rows were accepted without a finding."""
    result = load(connection, settings)
    assert rows is None or (result.rows_loaded, result.findings) == (rows, 0), result
    return result


if __name__ == "__main__":
    own = Settings.from_environment()
    with database.connect(own) as opened:
        receive_one(opened, own, Path(sys.argv[1]))
        load_all(opened, own)
