"""Take a backup while the warehouse runs. Readers and publications go on; loading waits until it is done.

In this order, because each step rests on the one before: the inbox (a file in it may be received while the rest is
copied, and is then known by its bytes and time), the database in one snapshot, then everything else. An original is
archived before its row is written, so that the copy holds every original that the snapshot knows.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from ingestion.receive import STILL_FOR_SECONDS
from warehouse import database
from warehouse.backup import keys, programs, roles
from warehouse.backup.manifest import FILES, Manifest, write_sums
from warehouse.locks import LOAD
from warehouse.progress import silent
from warehouse.publication.ledger import code_version, latest
from warehouse.settings import Settings, WarehouseError

# made again by whoever needs it, or of this machine only; keys go into a file of their own
LEFT_OUT = {"postgres", "secrets", "logs", "opened", "prepared", "dbt", "airflow", "run.lock", "demo.partial", "restore.json"}
DUMPS = {"warehouse": "warehouse.dump", "airflow": "airflow.dump"}


@dataclass
class BackupResult:
    folder: str
    kind: str
    files: int = 0
    bytes: int = 0
    publications: int = 0
    sha256: str = ""  # of the list of checksums
    keys_file: str | None = None
    skipped: list[str] = field(default_factory=list)  # files of the inbox still being copied into it; an Airflow database of another user's
    seconds: float = 0.0


def backup(
    settings: Settings, folder: Path, *, keys_file: Path | None = None, base: bool = False, progress: Callable[..., None] | None = None
) -> BackupResult:
    """Write database, originals, outbox, reports, inbox and set-aside drops into ``folder``, which must not hold anything.

    ``keys_file``: write the keys there as well. ``base``: the embedded server's files in place of a dump, to which
    archived WAL can be added (point in time). The folder gets its name when it is complete. Raises WarehouseError.
    """
    began, progress = time.monotonic(), progress or silent
    folder = folder.absolute()
    _check_target(settings, folder, keys_file, base)
    database.start(settings)
    result = BackupResult(str(folder), "base" if base else "dump")
    draft = folder.with_name(f".{folder.name}.partial")
    if draft.exists():  # of a backup that was cut off
        shutil.rmtree(draft)
    draft.mkdir(parents=True, mode=0o700)
    begun = _now()
    modified: dict[str, int] = {}
    with database.connect(settings, autocommit=True) as connection:
        progress("backup: inbox")
        _copy_inbox(settings, draft, modified, result)
        with _nobody_loads(connection):
            erased = _erasures(connection)
            roles.write(connection, draft)
            facts = _facts(connection)
            progress("backup: database")
            databases = _databases(settings, connection, draft, base, result)
            progress("backup: originals, outbox, reports")
            for path in sorted(settings.home.iterdir()):
                if path.name not in LEFT_OUT and path != settings.inbox and not path.name.startswith("."):
                    _copy(path, draft / FILES, settings.home, modified)
            if _erasures(connection) != erased:
                raise WarehouseError("Personal data were erased from originals while the backup ran; it would not agree with itself. Run it again.")
    manifest = Manifest(
        kind=result.kind, begun_at=begun, ended_at=_now(), code_version=code_version(), databases=databases,
        keys=keys.fingerprints(keys.folder_of(settings)), modified=modified, **facts,
    )  # fmt: skip
    manifest.write(draft)
    progress("backup: checksums")
    result.sha256 = write_sums(draft)
    copied = [p for p in draft.rglob("*") if p.is_file()]
    result.files, result.bytes, result.publications = len(copied), sum(p.stat().st_size for p in copied), manifest.publications
    if keys_file:
        keys.write(settings, keys_file.absolute())
        result.keys_file = str(keys_file.absolute())
    os.sync()  # a backup that a power cut takes away is none
    if folder.exists():
        folder.rmdir()
    draft.rename(folder)
    result.seconds = round(time.monotonic() - began, 2)
    return result


def _check_target(settings: Settings, folder: Path, keys_file: Path | None, base: bool) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise WarehouseError(f"{folder} holds something already; name a folder that does not exist yet.")
    if folder.resolve().is_relative_to(settings.home):
        raise WarehouseError(f"{folder} lies inside of {settings.home}, which it is to save. Name a folder on another disk.")
    if keys_file and keys_file.absolute().is_relative_to(folder):
        raise WarehouseError("The keys must not lie beside what they open: name a file outside of the backup's folder.")
    if keys_file and keys_file.exists():
        raise WarehouseError(f"{keys_file} exists; keys are not written over others.")
    if base and settings.url:
        raise WarehouseError("The server in WAREHOUSE_URL is not ours: take base backups with its own means (pg_basebackup), or leave --base out.")


@contextlib.contextmanager
def _nobody_loads(connection: psycopg.Connection) -> Iterator[None]:
    connection.execute("select pg_advisory_lock(%s)", [LOAD])
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute("select pg_advisory_unlock(%s)", [LOAD])


def _erasures(connection: psycopg.Connection) -> int:
    return connection.execute("select count(*) from intake.erasure").fetchone()[0]


def _facts(connection: psycopg.Connection) -> dict:
    last = latest(connection)
    weeks = connection.execute("select min(week), max(week) from intake.submission").fetchone()
    return {
        "server_version": connection.info.server_version,
        "user": connection.info.user,
        "migrations": [name for (name,) in connection.execute("select name from ops.migration order by 1")],
        "publications": last.publication_id if last else 0,
        "ledger_hash": last.hash if last else None,
        "weeks": [week for week in weeks if week],
    }


# -- the database ----------------------------------------------------------------------------------


def airflow_url(settings: Settings, connection: psycopg.Connection) -> str | None:
    """Address of Airflow's database on the same server; None if it has none."""
    from warehouse.airflow_services import AirflowServices

    services = AirflowServices(settings)
    there = connection.execute("select from pg_database where datname = %s", [services.database_name]).fetchone()
    return services.database_url() if there else None


def _databases(settings: Settings, connection: psycopg.Connection, draft: Path, base: bool, result: BackupResult) -> dict[str, str]:
    if base:
        programs.run("pg_basebackup", database.url(settings), "-D", draft / "base", "-Ft", "-z", "-X", "stream", "-c", "fast")
        return {"cluster": "base/base.tar.gz"}
    found = {"warehouse": database.url(settings)}
    airflow = airflow_url(settings, connection)
    if airflow and _readable(airflow):
        found["airflow"] = airflow
    elif airflow:
        result.skipped.append("Airflow's database, which belongs to another user: dump it as that one")
    for name, url in found.items():
        programs.run("pg_dump", url, "-Fc", "-f", draft / DUMPS[name])
    return {name: DUMPS[name] for name in found}


def _readable(airflow: str) -> bool:
    try:
        with psycopg.connect(airflow, connect_timeout=10) as connection:
            return connection.execute("select coalesce(has_table_privilege(to_regclass('public.dag_run'), 'select'), true)").fetchone()[0]
    except psycopg.OperationalError:
        return False


# -- files -----------------------------------------------------------------------------------------


def _copy_inbox(settings: Settings, draft: Path, modified: dict[str, int], result: BackupResult) -> None:
    """What lies whole in the inbox. A file that is still being copied stays the sender's affair."""
    for path in sorted(p for p in settings.inbox.rglob("*") if p.is_file() and not p.is_symlink()):
        shown = path.relative_to(settings.inbox)
        if any(part.startswith(".") for part in shown.parts):
            continue
        with contextlib.suppress(FileNotFoundError):  # received meanwhile
            before = path.stat()
            if time.time() - before.st_mtime < STILL_FOR_SECONDS:
                result.skipped.append(shown.as_posix())
                continue
            _copy(path, draft / FILES, settings.home, modified)
            after = path.stat()
            if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                (draft / FILES / path.relative_to(settings.home)).unlink()
                result.skipped.append(shown.as_posix())


def _copy(path: Path, target: Path, home: Path, modified: dict[str, int]) -> None:
    """A file, or all files below a folder. One that another process takes away meanwhile is passed over."""
    for source in [path] if path.is_file() else sorted(path.rglob("*")):
        name = source.relative_to(home)
        if source.is_symlink() or not source.is_file() or source.name.startswith("."):
            continue
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            shutil.copy2(source, copy)
            modified[name.as_posix()] = copy.stat().st_mtime_ns


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat()
