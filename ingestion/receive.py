"""Take in files: an immutable copy under its SHA-256, and one ``intake.file`` row for every arrival.

Nothing is opened or judged here. A copy is complete before it gets its name, and its row is written after that, so
a run that is cut short leaves at most a copy that the next run uses again.
"""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import errno
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from ingestion.door import Door
from warehouse import originals
from warehouse.roles import LOADER, as_role
from warehouse.settings import Settings, WarehouseError

MANIFEST = "arrivals.csv"
TEMPORARY_PREFIXES = ("~$", ".~", "._", ".")
TEMPORARY_SUFFIXES = (".part", ".partial", ".crdownload", ".tmp", ".filepart", ".download")
TEMPORARY_NAMES = {"thumbs.db", "desktop.ini"}
STILL_FOR_SECONDS = 2.0  # younger files are looked at twice before they are taken
DUPLICATE_ZH = "与之前收到的“{name}”（{when:%Y-%m-%d %H:%M}）内容完全相同，已收到过，未重复装载。"

OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}


class DiskFault(WarehouseError):
    """The archive cannot take anything; no fault of what was sent, which stays where it lies."""


@dataclass(frozen=True, slots=True)
class Arrival:
    path: Path
    shown: str  # as recorded: relative to the folder, with forward slashes
    received_at: dt.datetime | None  # None: when its row is written


@dataclass(slots=True)
class ReceiveResult:
    """What came of one call. ``file_ids`` are the new rows still to be loaded, in order of arrival."""

    file_ids: list[int] = field(default_factory=list)
    duplicate_ids: list[int] = field(default_factory=list)  # new rows with outcome 'duplicate'
    already_recorded: int = 0  # the same arrival, recorded by an earlier call
    skipped: list[str] = field(default_factory=list)  # hidden, temporary or still growing
    errors: list[str] = field(default_factory=list)  # one sentence a file that could not be taken
    set_aside: list[str] = field(default_factory=list)  # one sentence a file that was not let in (`ingestion.door`)
    waiting: list[str] = field(default_factory=list)  # one sentence a sender whose files wait in the inbox

    @property
    def received(self) -> int:
        return len(self.file_ids) + len(self.duplicate_ids)


@as_role(LOADER)
def receive(
    connection: psycopg.Connection,
    settings: Settings,
    directory: Path | str,
    arrivals: Path | str | None = None,
    progress: Callable[..., None] | None = None,
    *,
    now: dt.datetime | None = None,
) -> ReceiveResult:
    """Archive and record the files of a folder; safe to repeat, and safe beside another process.

    With a manifest (``arrivals``, or ``arrivals.csv`` in the folder; columns ``path,received_at``) only the files
    listed are taken, in that order, as received at those times. Else every file below the folder is, as received
    ``now``. Files of the inbox are removed once they are archived and recorded.
    ``progress(what, done, total)`` is called after each file.

    Raises DiskFault as soon as the disk refuses; WarehouseError, before anything is taken, for a manifest that cannot be used or a path that leaves the
    folder; and at the end, after all others are taken, naming the files that are missing or cannot be read.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise WarehouseError(f"There is no folder {directory}.")
    settings.prepare()
    is_inbox = directory.resolve() == settings.inbox.resolve()
    manifest = Path(arrivals) if arrivals else directory / MANIFEST
    result = ReceiveResult()
    if arrivals is not None or manifest.is_file():
        found = read_manifest(manifest, directory, settings)
    else:
        found = _files_below(directory, result)
    door = Door.of(connection, settings, now) if directory.resolve().is_relative_to(settings.inbox.resolve()) else None
    connection.commit()  # so that each file below is a transaction of its own
    for number, arrival in enumerate(found, 1):
        try:
            if door and not _let_in(door, arrival, result):
                continue
            modified = _take(connection, settings, arrival, now, result, door.sender_of(arrival.path) if door else None)
            if is_inbox and arrival.path.stat().st_mtime_ns == modified:  # a newer file under the same name stays
                arrival.path.unlink()
        except OSError as error:
            if error.errno in OF_THE_DISK:
                raise DiskFault(f"The archive {settings.archive} cannot be written ({error.strerror}). Nothing is lost: free some disk, then run the same again.") from error
            if isinstance(error, FileNotFoundError) and _known(connection, arrival):
                result.already_recorded += 1  # taken from the inbox by an earlier call
            else:
                result.errors.append(f"{arrival.shown}: {_reason(error)}")
        if progress:
            progress("receive: files", number, len(found))
    if result.errors:
        raise WarehouseError(
            f"{len(result.errors)} of {len(found)} files could not be received (the others were):\n  " + "\n  ".join(result.errors)
        )
    return result


def _let_in(door: Door, arrival: Arrival, result: ReceiveResult) -> bool:
    reason = door.turned_away(arrival.path)
    if reason:
        door.set_aside(arrival.path)
        result.set_aside.append(reason)
        return False
    reason = None if arrival.received_at else door.has_to_wait(arrival.path)  # a list that is half taken could not be followed again
    if reason and reason not in result.waiting:
        result.waiting.append(reason)
    return reason is None


def read_manifest(manifest: Path, directory: Path, settings: Settings) -> list[Arrival]:
    """The arrivals a manifest lists, in its order. Raises WarehouseError naming the line that is wrong."""
    try:
        text = manifest.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise WarehouseError(f"There is no list of arrivals {manifest}.") from error
    except UnicodeDecodeError as error:
        raise WarehouseError(f"{manifest} is not UTF-8.") from error
    reader = csv.DictReader(text.splitlines())
    if not {"path", "received_at"} <= set(reader.fieldnames or ()):
        raise WarehouseError(f"{manifest} needs the columns path and received_at in its first line.")
    root, found = directory.resolve(), []
    for row in reader:
        where = f"{manifest}, line {reader.line_num}"
        written = (row["path"] or "").strip()
        if not written:
            raise WarehouseError(f"{where}: no path.")
        path = directory / written
        if Path(written).is_absolute() or ".." in Path(written).parts or not path.resolve().is_relative_to(root):
            raise WarehouseError(f"{where}: {written!r} leads out of {directory}.")
        try:
            received_at = dt.datetime.fromisoformat((row["received_at"] or "").strip())
        except ValueError as error:
            raise WarehouseError(f"{where}: {row['received_at']!r} is no time (wanted: 2020-06-15T08:50:00+08:00).") from error
        if received_at.tzinfo is None:
            received_at = received_at.replace(tzinfo=settings.timezone)
        found.append(Arrival(path, Path(written).as_posix(), received_at))
    return found


def _files_below(directory: Path, result: ReceiveResult) -> list[Arrival]:
    found = []
    for folder, folders, names in os.walk(directory, followlinks=False):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(names):
            path = Path(folder) / name
            shown = path.relative_to(directory).as_posix()
            if _temporary(name) or path.is_symlink() or not path.is_file():
                result.skipped.append(shown)
            else:
                found.append(Arrival(path, shown, None))
    growing = _growing([a.path for a in found])
    result.skipped += [a.shown for a in found if a.path in growing]
    return [a for a in found if a.path not in growing]


def _temporary(name: str) -> bool:
    lower = name.lower()
    return lower.startswith(TEMPORARY_PREFIXES) or lower.endswith(TEMPORARY_SUFFIXES) or lower in TEMPORARY_NAMES


def _growing(paths: list[Path]) -> set[Path]:
    """Files that change while we look; they are taken by the next call. Only young files cost the wait."""
    look = {}
    for path in paths:
        with contextlib.suppress(OSError):
            seen = path.stat()
            if time.time() - seen.st_mtime < STILL_FOR_SECONDS:
                look[path] = (seen.st_size, seen.st_mtime_ns)
    if not look:
        return set()
    time.sleep(0.3)
    changed = set()
    for path, before in look.items():
        with contextlib.suppress(OSError):
            seen = path.stat()
            if (seen.st_size, seen.st_mtime_ns) != before:
                changed.add(path)
    return changed


def _take(connection: psycopg.Connection, settings: Settings, arrival: Arrival, now: dt.datetime | None, result: ReceiveResult, sender: str | None) -> int:
    """Archive and record one arrival; returns the file's mtime in nanoseconds."""
    sha256, size, mtime_ns = _archive(settings, arrival.path)
    modified = dt.datetime.fromtimestamp(mtime_ns // 1000 / 1e6, dt.UTC)
    with connection.transaction():
        # one writer for these bytes at a time, or two processes would both hold themselves to be the first
        connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [sha256])
        if _recorded(connection, sha256, arrival, modified):
            result.already_recorded += 1
            return mtime_ns
        received_at = arrival.received_at or now or dt.datetime.now(dt.UTC)
        first = connection.execute(
            "select file_id, original_name, received_at from intake.file where sha256 = %s order by file_id limit 1", [sha256]
        ).fetchone()
        message = DUPLICATE_ZH.format(name=first[1], when=first[2].astimezone(settings.timezone)) if first else None
        (file_id,) = connection.execute(
            """insert into intake.file (sha256, original_name, original_path, size_bytes, received_at, file_modified_at, outcome,
                                        duplicate_of, message_zh, sender, finished_at)
               values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, case when %s then clock_timestamp() end) returning file_id""",
            [
                sha256, arrival.path.name, arrival.shown, size, received_at, modified, "duplicate" if first else None,
                first[0] if first else None, message, sender, bool(first),
            ],
        ).fetchone()
    (result.duplicate_ids if first else result.file_ids).append(file_id)
    return mtime_ns


def _known(connection: psycopg.Connection, arrival: Arrival) -> bool:
    row = connection.execute(
        "select from intake.file where original_path = %s and received_at = %s", [arrival.shown, arrival.received_at]
    ).fetchone()
    connection.commit()
    return row is not None


def _recorded(connection: psycopg.Connection, sha256: str, arrival: Arrival, modified: dt.datetime) -> bool:
    if arrival.received_at:
        row = connection.execute(
            "select from intake.file where sha256 = %s and original_path = %s and received_at = %s",
            [sha256, arrival.shown, arrival.received_at],
        )
    else:  # without a list, a file that still lies where it lay is the same arrival; sent again it has another mtime
        row = connection.execute(
            "select from intake.file where sha256 = %s and original_path = %s and file_modified_at = %s", [sha256, arrival.shown, modified]
        )
    return row.fetchone() is not None


def _archive(settings: Settings, path: Path) -> tuple[str, int, int]:
    """Seal a file into the archive unless its bytes are there. Returns SHA-256, size in bytes and mtime in nanoseconds."""
    source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(source, "rb") as handle:
        about = os.fstat(handle.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise OSError(0, "is not an ordinary file")
        return *originals.store(settings, handle), about.st_mtime_ns


def archived(settings: Settings, sha256: str) -> Path:
    """Where a file's original is kept, sealed: `warehouse.originals` opens it."""
    return originals.path_of(settings, sha256)


def _reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "the file is missing"
    if error.errno == errno.ELOOP:
        return "is a symbolic link, which is not followed"
    return error.strerror or str(error)
