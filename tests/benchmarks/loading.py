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
from warehouse.batches import load_batch
from warehouse.settings import Settings


def receive_one(connection: psycopg.Connection, settings: Settings, path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=settings.home) as drop:
        shutil.copy(path, drop)
        arrivals = Path(drop) / "arrivals.csv"
        arrivals.write_text(f"path,received_at\n{path.name},{RECEIVED}\n", encoding="utf-8")
        receive(connection, settings, Path(drop), arrivals=arrivals)


def load_all(connection: psycopg.Connection, settings: Settings, rows: int | None = None) -> LoadResult:
    """Load what waits as a task of the DAG does. Raises AssertionError unless ``rows`` rows were accepted without a finding."""
    waiting = connection.execute("select file_id from intake.file where outcome is null order by received_at, file_id").fetchall()
    result = load_batch(connection, settings, [number for (number,) in waiting])
    assert rows is None or (result.rows_loaded, result.findings) == (rows, 0), result
    return result


if __name__ == "__main__":
    own = Settings.from_environment()
    with database.connect(own) as opened:
        receive_one(opened, own, Path(sys.argv[1]))
        load(opened, own)  # as `warehouse cycle` does, with readers of its own
