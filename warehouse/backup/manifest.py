"""What a backup holds and the proof that it still does: ``manifest.json``, and ``SHA256SUMS`` as sha256sum writes it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from warehouse.settings import WarehouseError

MANIFEST, SUMS, FILES = "manifest.json", "SHA256SUMS", "home"
FORMAT = 1


@dataclass
class Manifest:
    """``kind``: 'dump' (pg_dump) or 'base' (the server's files, to which WAL can be added). Times are ISO, UTC."""

    kind: str
    begun_at: str
    ended_at: str
    code_version: str
    server_version: int  # as PostgreSQL numbers it: 180004
    user: str  # of the database; owner of what was dumped
    databases: dict[str, str]  # warehouse, airflow → file
    migrations: list[str]
    publications: int
    ledger_hash: str | None  # of the last publication: the chain up to it
    weeks: list[str]  # first and last with a submission
    keys: dict[str, str]  # name of each secret → its fingerprint
    modified: dict[str, int] = field(default_factory=dict)  # path below the home → mtime in nanoseconds
    format: int = FORMAT

    def write(self, folder: Path) -> None:
        (folder / MANIFEST).write_text(json.dumps(asdict(self), ensure_ascii=False, indent=1), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Raises WarehouseError where the folder is no backup, or one of a later version."""
        try:
            told = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise WarehouseError(f"{folder} is no backup of a warehouse: its {MANIFEST} cannot be read.") from error
        if told.get("format") != FORMAT:
            raise WarehouseError(f"{folder} was written by another version of the project (format {told.get('format')}, this one knows {FORMAT}). Restore it with that version.")
        return cls(**told)


def digest(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def files_of(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.name != SUMS)


def write_sums(folder: Path) -> str:
    """Write the checksums of every file; returns the SHA-256 of that list, which stands for the whole backup."""
    lines = [f"{digest(path)}  {path.relative_to(folder).as_posix()}\n" for path in files_of(folder)]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")
    return digest(folder / SUMS)


def faults(folder: Path) -> list[str]:
    """A sentence for each file that is missing, altered or too many. Raises WarehouseError without a list."""
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise WarehouseError(f"{folder} holds no {SUMS}: it is no complete backup.") from error
    listed = {name: sha for sha, _, name in (line.partition("  ") for line in lines)}
    have = {path.relative_to(folder).as_posix(): path for path in files_of(folder)}
    found = [f"{name} is missing" for name in sorted(listed.keys() - have.keys())]
    found += [f"{name} is not in the list" for name in sorted(have.keys() - listed.keys())]
    return found + [f"{name} was altered" for name in sorted(listed.keys() & have.keys()) if digest(have[name]) != listed[name]]
