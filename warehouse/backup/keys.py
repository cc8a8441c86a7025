"""The keys of a home, apart from its backup: a tar of their own, readable by its owner only.

Without the keys a backup gives away no pseudonym's origin; with other keys than the old ones next week's pseudonyms
would not join last week's. The manifest therefore knows a fingerprint of each, by which a restore tells the right
ones from others.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import shutil
import tarfile
import tempfile
from pathlib import Path

from warehouse.settings import Settings, WarehouseError

LOCAL = {"postgres_password", "airflow_password"}  # of the machine, not of the data; too short for a fingerprint, too
PURPOSE = b"county-warehouse backup key fingerprint"


def folder_of(settings: Settings) -> Path:
    return settings.home / "secrets"


def fingerprints(folder: Path) -> dict[str, str]:
    """Name → first 32 hex digits of HMAC-SHA-256 under the key itself; a random key cannot be worked out from it."""
    return {
        path.relative_to(folder).as_posix(): hmac.new(path.read_bytes().strip(), PURPOSE, hashlib.sha256).hexdigest()[:32]
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".") and path.name not in LOCAL
    }


def write(settings: Settings, target: Path) -> int:
    """All keys of the home into a tar file of mode 600; returns how many. Raises WarehouseError if it exists."""
    folder, count = folder_of(settings), 0
    if target.exists():
        raise WarehouseError(f"{target} exists; keys are not written over others.")
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    try:
        with tarfile.open(draft, "w") as tar:
            for path in sorted(folder.rglob("*")):
                if path.is_file() and not path.name.startswith("."):
                    tar.add(path, path.relative_to(folder).as_posix())
                    count += 1
        draft.rename(target)
    finally:
        draft.unlink(missing_ok=True)
    return count


def put_back(folder: Path, source: Path) -> None:
    """The keys of a tar into a folder. Raises WarehouseError where it is none."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with tarfile.open(source) as tar:
            tar.extractall(folder, filter="data")
    except (OSError, tarfile.TarError) as error:
        raise WarehouseError(f"{source} cannot be read as a file of keys: {error}") from error
    for path in folder.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)


def wrong(settings: Settings, source: Path | None, wanted: dict[str, str]) -> list[str]:
    """Names of the keys that neither a tar nor the home has as the backup knew them."""
    with tempfile.TemporaryDirectory() as name:  # of mode 700
        folder = Path(name) / "secrets"
        if folder_of(settings).is_dir():
            shutil.copytree(folder_of(settings), folder)
        if source:
            put_back(folder, source)
        have = fingerprints(folder)
    return sorted(name for name, fingerprint in wanted.items() if have.get(name) != fingerprint)
