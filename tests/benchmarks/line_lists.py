"""Long payout lists against the fastest way to read their cells and one bare COPY, against pandas, and against dlt."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
from python_calamine import CalamineWorkbook

from demo import payouts
from tests.benchmarks.figure import Figure, Workshop, against, peak_megabytes, seconds, within
from tests.benchmarks.loading import load_all, receive_one
from warehouse import database

PIECE = 1 << 20
TABLES = ("raw.ind02", "raw.personal")  # the rows, and what is sealed of them
DLT = ("dlt[postgres,parquet]==1.31.0", "pandas==3.1.1", "openpyxl==3.1.5")  # the peer's own environment; pandas as in our lock
DLT_NAMES = {"SCHEMA__NAMING": "direct"}  # its default makes one and the same name of all Chinese headings


def workbook(shop: Workshop, samples: int, rows: int = 100_000) -> list[Figure]:
    """A payout list as .xlsx: read, checked by all its rules and loaded."""
    path = payouts.write_xlsx(shop.folder / "payouts.xlsx", rows)
    reading = {"fastexcel": [], "fastexcel as text": [], "calamine": []}
    ours, copying, slow, other = [], [], [], []
    python = _environment(shop.folder / "dlt")
    for number in range(samples):  # side by side: a machine has better and worse minutes
        for name, read in READERS.items():
            reading[name].append(seconds(lambda read=read: read(path)))
        own, bare = _load_and_copy(shop, path, rows)
        ours.append(own)
        copying.append(bare)
        slow.append(seconds(lambda: _pandas(shop, path)))
        other.append(_dlt(shop, python, path, number))
    fastest = min(reading, key=lambda name: sorted(reading[name])[len(reading[name]) // 2])
    peer = [a + b for a, b in zip(reading[fastest], copying, strict=True)]
    with shop.home() as settings:
        memory = peak_megabytes(["tests.benchmarks.loading", str(path)], {"WAREHOUSE_HOME": str(settings.home), "WAREHOUSE_URL": settings.url})
    return [
        against("payouts_xlsx", 2.0, ours, peer, rows=rows, peer_is=f"{fastest} + one COPY into the same table with its keys"),
        against("payouts_xlsx_pandas", 0.125, ours, slow, rows=rows, peer_is="pandas.read_excel (openpyxl) + to_sql"),
        against("payouts_xlsx_dlt", 1.0, ours, other, rows=rows, peer_is=f"{DLT[0]} with pandas (openpyxl) into PostgreSQL, without a check"),
        within("payouts_xlsx_memory", 600, [memory], "MB", rows=rows, of="loader and readers as `warehouse cycle` has them, without the database server"),
    ]


def text(shop: Workshop, samples: int, rows: int = 1_000_000) -> list[Figure]:
    """A payout list as .csv against a bare COPY of the same rows into the same table with its keys."""
    path = payouts.write_csv(shop.folder / "payouts.csv", rows)
    pairs = [_load_and_copy(shop, path, rows) for _ in range(samples)]
    with shop.home() as settings:
        memory = peak_megabytes(["tests.benchmarks.loading", str(path)], {"WAREHOUSE_HOME": str(settings.home), "WAREHOUSE_URL": settings.url})
    return [
        against("payouts_csv", 2.5, [a for a, _ in pairs], [b for _, b in pairs], rows=rows, peer_is="one COPY into the same table with its keys"),
        within("payouts_csv_memory", 1000, [memory], "MB", rows=rows, of="loader and readers as `warehouse cycle` has them, without the database server"),
    ]


def _load_and_copy(shop: Workshop, path: Path, rows: int) -> tuple[float, float]:
    """Seconds of loading a file that has been received, and of copying the very same rows in once more."""
    with shop.home() as settings, database.connect(settings) as connection:
        receive_one(connection, settings, path)
        own = seconds(lambda: load_all(connection, settings, rows))
        lines = {table: b"".join(_lines(connection, table)) for table in TABLES}
        connection.execute(f"truncate {', '.join(TABLES)}")
        connection.commit()
        gc.collect()
        return own, seconds(lambda: _copy(connection, lines))


def _lines(connection: psycopg.Connection, table: str) -> Iterator[bytes]:
    with connection.cursor() as cursor, cursor.copy(f"copy {table} to stdout") as out:
        yield from map(bytes, out)


def _copy(connection: psycopg.Connection, lines: dict[str, bytes]) -> None:
    for table, text in lines.items():
        with connection.cursor() as cursor, cursor.copy(f"copy {table} from stdin") as into:
            for begin in range(0, len(text), PIECE):
                into.write(text[begin : begin + PIECE])
    connection.commit()


def _fastexcel(path: Path, **how) -> None:
    import fastexcel

    fastexcel.read_excel(path).load_sheet(0, header_row=None, **how).to_arrow()


def _calamine(path: Path) -> None:
    CalamineWorkbook.from_path(path).get_sheet_by_index(0).to_python(skip_empty_area=False)


READERS = {"fastexcel": _fastexcel, "fastexcel as text": lambda path: _fastexcel(path, dtypes="string"), "calamine": _calamine}


def _pandas(shop: Workshop, path: Path) -> None:
    import pandas
    from sqlalchemy import create_engine

    frame = pandas.read_excel(path, header=2, dtype={"身份证号": str, "一卡通账号后四位": str}, engine="openpyxl")
    with shop.home() as settings:
        engine = create_engine(settings.url.replace("postgresql://", "postgresql+psycopg2://"))
        frame.to_sql("payouts", engine, index=False, chunksize=10_000)
        engine.dispose()


def _environment(folder: Path) -> Path:
    """The interpreter of a throwaway environment with dlt: it belongs to no lock of ours."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    subprocess.run([sys.executable, "-m", "uv", "pip", "install", "-q", "--python", python, *DLT], check=True)
    return python


def _dlt(shop: Workshop, python: Path, path: Path, number: int) -> float:
    with shop.home() as settings:
        arguments = [python, Path(__file__).with_name("dlt_peer.py"), path, settings.url, shop.folder / f"dlt-{number}"]
        done = subprocess.run(list(map(str, arguments)), env=os.environ | DLT_NAMES, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        with database.connect(settings) as connection:
            assert connection.execute("select count(*) from payouts.payouts").fetchone()[0] > 0
        return float(done.stdout.split()[-1])
