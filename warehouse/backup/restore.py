"""Put a backup into an empty home, and prove that it is what it was.

A restore that was cut off leaves a note (``home/restore.json``) by which the same command knows that it may clear away
what it had made and begin again.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from warehouse import database
from warehouse.backup import keys, programs, roles
from warehouse.backup.manifest import FILES, Manifest, faults
from warehouse.embedded import DATABASE, EmbeddedServer
from warehouse.progress import silent
from warehouse.settings import Settings, WarehouseError

NOTE = "restore.json"
RECOVERY_SECONDS = 3600.0


@dataclass
class RestoreResult:
    """``faults`` has a sentence for everything that does not agree afterwards; empty is a proof."""

    home: str
    kind: str
    begun_at: str  # when the backup was taken
    publications: int = 0
    week: str | None = None
    roles_made: list[str] = field(default_factory=list)
    reached: str | None = None  # point in time: the last transaction's
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0


def restore(
    settings: Settings,
    folder: Path,
    *,
    keys_file: Path | None = None,
    new_keys: bool = False,
    wal: Path | None = None,
    to: dt.datetime | None = None,
    originals: Path | None = None,
    progress: Callable[..., None] | None = None,
) -> RestoreResult:
    """Restore ``folder`` into the home (and server) of ``settings``, which must hold nothing, and verify it.

    ``keys_file`` as written by the backup; ``new_keys`` goes on without the old ones. Of a base backup: ``wal``, the
    folder of archived WAL, is replayed up to ``to`` (aware) or to its end, and ``originals``, an archive folder kept up
    to date elsewhere, gives what arrived after the backup. Raises WarehouseError before anything is touched if the
    backup is not whole, the place not empty, or a key is not the old one.
    """
    began, progress = time.monotonic(), progress or silent
    manifest = Manifest.read(folder)
    progress("restore: checksums")
    broken = faults(folder)
    if broken:
        raise WarehouseError("The backup is not what was written; nothing was restored:\n  " + "\n  ".join(broken[:10]))
    _check(settings, manifest, keys_file, wal, to)
    _check_keys(settings, manifest, keys_file, new_keys)
    _clear(settings)
    _write_note(settings, folder)
    settings.prepare()
    if keys_file:
        keys.put_back(keys.folder_of(settings), keys_file)
    progress("restore: files")
    _files(folder, settings, manifest)
    if originals:
        _originals(originals, settings)
    result = RestoreResult(str(settings.home), manifest.kind, manifest.begun_at)
    progress("restore: database")
    if manifest.kind == "base":
        result.reached = _cluster(folder, settings, wal, to)
    else:
        result.roles_made = _dumps(folder, settings, manifest)
    database.start(settings)  # what a newer version of the project adds
    progress("restore: verifying")
    _prove(settings, manifest, result)
    (settings.home / NOTE).unlink()
    result.seconds = round(time.monotonic() - began, 2)
    return result


# -- before anything is touched --------------------------------------------------------------------


def _check(settings: Settings, manifest: Manifest, keys_file: Path | None, wal: Path | None, to: dt.datetime | None) -> None:
    known = {path.name for path in database.MIGRATIONS.glob("*.sql")}
    newer = set(manifest.migrations) - known
    if newer:
        raise WarehouseError(f"The backup was made by a newer version of the project ({manifest.code_version}; it knows {max(newer)}). Update the project first.")
    if manifest.kind == "base" and settings.url:
        raise WarehouseError("A base backup is the embedded server's own files; it cannot go into the server of WAREHOUSE_URL. Unset it, or restore a backup made without --base.")
    if manifest.kind == "base" and keys_file is None:
        raise WarehouseError("A base backup opens with the database password it was made with: give --keys.")
    if (wal or to) and manifest.kind != "base":
        raise WarehouseError("A point in time needs a base backup (warehouse backup --base); this one is a dump.")
    if to and not wal:
        raise WarehouseError("A point in time needs the archived WAL: give --wal.")
    if (settings.home / NOTE).exists():
        return
    left = [p for p in settings.home.rglob("*") if not p.is_dir() and not p.is_relative_to(keys.folder_of(settings))] if settings.home.exists() else []
    if left:
        raise WarehouseError(f"{settings.home} is not empty (it holds {left[0].relative_to(settings.home)}). Restore into a new folder: set WAREHOUSE_HOME to one.")
    if settings.url and not _is_empty(settings.url):
        raise WarehouseError("The database in WAREHOUSE_URL is not empty. Restore into a new one: create database …, and name it in WAREHOUSE_URL.")


def _is_empty(url: str) -> bool:
    with psycopg.connect(url) as connection:
        return not connection.execute("select exists (select from pg_namespace where nspname in ('ops', 'intake', 'store', 'raw', 'marts'))").fetchone()[0]


def _check_keys(settings: Settings, manifest: Manifest, keys_file: Path | None, new_keys: bool) -> None:
    wrong = keys.wrong(settings, keys_file, manifest.keys)
    if wrong and not new_keys:
        raise WarehouseError(
            f"These keys are missing or others than when the backup was made: {', '.join(wrong)}. Give the file that `warehouse backup --keys` wrote "
            "(--keys FILE). Without them pseudonyms of next week do not join those of the weeks before; --new-keys accepts that."
        )


def _clear(settings: Settings) -> None:
    """Take away what a restore that was cut off had made; keys that somebody put there beforehand stay."""
    if not (settings.home / NOTE).exists():
        return
    server = EmbeddedServer(settings)
    if settings.url is None and server.folder.exists():
        server.stop()
    if settings.url and not _is_empty(settings.url):
        _drop_schemas(settings)
    for path in settings.home.iterdir():
        if path.name not in (NOTE, "secrets"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _drop_schemas(settings: Settings) -> None:
    with psycopg.connect(settings.url, autocommit=True) as connection:
        for (name,) in connection.execute("select nspname from pg_namespace where nspname !~ '^pg_' and nspname not in ('information_schema', 'public')").fetchall():
            connection.execute(sql.SQL("drop schema {} cascade").format(sql.Identifier(name)))


def _write_note(settings: Settings, folder: Path) -> None:
    settings.home.mkdir(parents=True, exist_ok=True)
    told = {"restoring": str(folder.absolute()), "begun_at": dt.datetime.now(dt.UTC).isoformat()}
    (settings.home / NOTE).write_text(json.dumps(told), encoding="utf-8")


# -- files -----------------------------------------------------------------------------------------


def _files(folder: Path, settings: Settings, manifest: Manifest) -> None:
    """With their times: by them a file of the inbox is known again, and a report older than its publication."""
    for name, modified in manifest.modified.items():
        target = settings.home / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(folder / FILES / name, target)
        os.utime(target, ns=(modified, modified))


def _originals(source: Path, settings: Settings) -> None:
    for path in sorted(p for p in source.rglob("*") if p.is_file() and not p.name.startswith(".")):
        target = settings.archive / path.relative_to(source)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)


# -- the database ----------------------------------------------------------------------------------


def _dumps(folder: Path, settings: Settings, manifest: Manifest) -> list[str]:
    """Each dump in one transaction; returns the roles that were made."""
    if settings.url is None:
        EmbeddedServer(settings).start()
    url = database.url(settings)
    with psycopg.connect(url, autocommit=True) as connection:
        made = roles.make(connection, folder)
        user = connection.info.user
        if "airflow" in manifest.databases:
            airflow = _make_airflow_database(settings, connection)
    # under another user's name the objects belong to whoever restores
    owner = [] if user == manifest.user else ["--no-owner"]
    programs.run("pg_restore", url, "--single-transaction", "--exit-on-error", *owner, folder / manifest.databases["warehouse"])
    if "airflow" in manifest.databases and airflow:
        programs.run("pg_restore", airflow, "--single-transaction", "--exit-on-error", *owner, folder / manifest.databases["airflow"])
    return made


def _make_airflow_database(settings: Settings, connection: psycopg.Connection) -> str | None:
    """Address of an Airflow database to fill; None where one is in use already."""
    from warehouse.airflow_services import AirflowServices

    services = AirflowServices(settings)
    name = services.database_name
    if not connection.execute("select from pg_database where datname = %s", [name]).fetchone():
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    with psycopg.connect(services.database_url()) as other:
        used = other.execute("select to_regclass('public.alembic_version') is not null").fetchone()[0]
    return None if used else services.database_url()


def _cluster(folder: Path, settings: Settings, wal: Path | None, to: dt.datetime | None) -> str:
    """The server's own files, and WAL up to a time; returns the time of the last transaction that was replayed."""
    server = EmbeddedServer(settings)
    server.folder.mkdir(parents=True, exist_ok=True)
    draft = server.folder / "restoring"
    for name, target in (("base.tar.gz", draft), ("pg_wal.tar.gz", draft / "pg_wal")):
        with tarfile.open(folder / "base" / name) as tar:
            tar.extractall(target, filter="data")
    draft.chmod(0o700)
    if wal:
        if any(c in str(wal.absolute()) for c in "'\"$`\\%"):
            raise WarehouseError(f"{wal} has signs in its name that PostgreSQL's restore_command cannot take; move the WAL to a plainer path.")
        lines = [f"""restore_command = 'cp "{wal.absolute()}/%f" "%p"'""", "recovery_target_action = 'promote'"]
        lines += [f"recovery_target_time = '{to.isoformat()}'"] if to else []
        with (draft / "postgresql.auto.conf").open("a", encoding="utf-8") as handle:
            handle.write("\n".join(lines) + "\n")
        (draft / "recovery.signal").touch()
    server.take_over(draft)
    server.start()
    with psycopg.connect(server.url(DATABASE), autocommit=True) as connection:
        until = time.monotonic() + RECOVERY_SECONDS
        while connection.execute("select pg_is_in_recovery()").fetchone()[0]:
            if time.monotonic() > until:
                raise WarehouseError(f"The WAL was not replayed within {RECOVERY_SECONDS / 3600:.0f} hour; the log is {server.folder / 'server.log'}.")
            time.sleep(0.2)
        for option in ("restore_command", "recovery_target_time", "recovery_target_action"):
            connection.execute(f"alter system reset {option}")
        reached = connection.execute("select max(at) from (select max(loaded_at) as at from intake.submission union select max(published_at) from store.publication) t").fetchone()[0]
    return reached.isoformat() if reached else ""


# -- the proof -------------------------------------------------------------------------------------


def _prove(settings: Settings, manifest: Manifest, result: RestoreResult) -> None:
    from warehouse.commands.trace import verify
    from warehouse.publication.ledger import latest

    with database.connect(settings, autocommit=True) as connection:
        result.faults = verify(connection, settings)
        last = latest(connection)
        if manifest.publications:
            then = latest(connection, manifest.publications)
            if manifest.kind == "dump" and (then is None or then.hash != manifest.ledger_hash):
                result.faults.append(f"Publication {manifest.publications} is not the one that the backup knew.")
        if manifest.kind == "base":
            _write_returned(connection, settings, manifest)
    if last:
        result.publications, result.week = last.publication_id, last.week


def _write_returned(connection: psycopg.Connection, settings: Settings, manifest: Manifest) -> None:
    """The counties' workbooks of files that were loaded after the backup's copy of the outbox was made."""
    from ingestion.returned import write_outbox

    later = connection.execute("select file_id from intake.file where finished_at >= %s and duplicate_of is null order by 1", [manifest.begun_at]).fetchall()
    if later:
        write_outbox(connection, settings, [number for (number,) in later])
