"""The archive: originals as they came, by the SHA-256 of their own bytes, each sealed on disk. Every reader comes here.

A sealed original is a head (mark, key id, nonce prefix) and pieces of a mebibyte, each sealed under its number and
whether it is the last, so that none can be taken away, put elsewhere or appended (the STREAM construction of Hoang,
Reyhanitabar, Rogaway and Vizár, 2015). An original that an earlier version left in clear is read as it is, until
`seal_all` has been by.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag

from warehouse.keys import Keyring, keyring
from warehouse.settings import Settings, WarehouseError

MARK = b"\x00WHSEAL1"  # no workbook, archive or text begins like this
PIECE = 1 << 20
TAG = 16
HEAD = 64
DRAFT = ".writing-"  # begins the name of a file that is not whole yet
PREFIX = 7  # bytes of the nonce that all pieces share; 4 count them, 1 says whether it is the last
SEALED = ".sealed"  # file of the archive that says that nothing in it is clear any more


class Altered(WarehouseError):
    """The file on disk is not what was put there."""


def path_of(settings: Settings, sha256: str) -> Path:
    return settings.archive / sha256[:2] / sha256


def exists(settings: Settings, sha256: str) -> bool:
    return path_of(settings, sha256).exists()


def read(settings: Settings, sha256: str) -> bytes:
    """An original's bytes. Raises OSError where it is not there, `Altered` where it was tampered with."""
    return read_path(path_of(settings, sha256), keyring(settings))


def read_path(path: Path, keys: Keyring) -> bytes:
    with open(path, "rb") as handle:
        return b"".join(_pieces(handle, keys))


def read_sealed(path: Path, keys: Keyring) -> bytes:
    """What `write` put there. Raises OSError, and `Altered` also for what was never sealed: whoever wrote that has no key."""
    with open(path, "rb") as handle:
        if handle.read(len(MARK)) != MARK:
            raise Altered("A file that ought to be sealed is not.")
        handle.seek(0)
        return b"".join(_pieces(handle, keys))


def head_of(path: Path) -> bytes:
    """The first bytes on disk, by which one sealing is told from the next (each has random ones of its own)."""
    with open(path, "rb") as handle:
        return handle.read(HEAD)


def size_of(path: Path) -> int:
    """Bytes of the original, as far as the size on disk tells: never more than a few too many."""
    return path.stat().st_size


def digest(settings: Settings, sha256: str) -> str:
    """SHA-256 of what an original holds now. Raises OSError where it is not there, `Altered` where it does not open."""
    found = hashlib.sha256()
    with open(path_of(settings, sha256), "rb") as handle:
        for piece in _pieces(handle, keyring(settings)):
            found.update(piece)
    return found.hexdigest()


def key_of(path: Path) -> str | None:
    """Id of the key that an original is sealed with; None where it is clear."""
    with open(path, "rb") as handle:
        head = handle.read(len(MARK) + 1)
        return handle.read(head[-1]).decode("ascii") if head[:-1] == MARK else None


# ---------------------------------------------------------------- writing


def store(settings: Settings, source: BinaryIO) -> tuple[str, int]:
    """Seal a file's bytes into the archive unless they are there; returns their SHA-256 and size.

    What is hashed is what is kept: the name is taken from the bytes that were written, not from a second reading.
    """
    draft = settings.archive / f".receiving-{os.getpid()}-{time.monotonic_ns()}"
    found, size = hashlib.sha256(), 0

    def passing() -> Iterator[bytes]:
        nonlocal size
        while piece := source.read(PIECE):
            found.update(piece)
            size += len(piece)
            yield piece

    with _locked(settings, ".receiving", fcntl.LOCK_SH):  # no key is retired between reading the keys and the name
        try:
            with open(draft, "xb", opener=_private) as copy:
                _seal(passing(), copy, keyring(settings))
                copy.flush()
                target = path_of(settings, found.hexdigest())
                if not target.exists():
                    os.fsync(copy.fileno())
            if not target.exists():
                target.parent.mkdir(exist_ok=True)
                draft.chmod(0o400)
                draft.rename(target)
                sync_folder(target.parent)
        finally:
            draft.unlink(missing_ok=True)
    return found.hexdigest(), size


def nobody_receives(settings: Settings) -> contextlib.AbstractContextManager:
    """While a key is added: what is received before lies there under an old key, what comes after takes the new one."""
    return _locked(settings, ".receiving", fcntl.LOCK_EX)


@contextlib.contextmanager
def _locked(settings: Settings, name: str, how: int) -> Iterator[None]:
    with open(settings.home / f"archive{name}", "w") as lock:
        fcntl.flock(lock, how)
        yield


def replace(settings: Settings, sha256: str, data: bytes) -> None:
    """Put other bytes in an original's place, under the name it came by (erasure)."""
    _replace(path_of(settings, sha256), data, keyring(settings))


def _replace(path: Path, data: bytes, keys: Keyring) -> None:
    write(path, data, keys)
    sync_folder(path.parent)


def write(path: Path, data: bytes, keys: Keyring, durable: bool = True) -> None:
    """Seal bytes into a file, which is whole before and after. ``durable``: also behind a power cut."""
    draft = path.with_name(f"{DRAFT}{os.getpid()}-{path.name}")
    draft.unlink(missing_ok=True)
    try:
        with open(draft, "xb", opener=_private) as handle:
            _seal((data[at : at + PIECE] for at in range(0, len(data), PIECE)), handle, keys)
            handle.flush()
            if durable:
                os.fsync(handle.fileno())
        draft.chmod(0o400)
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)


def seal_all(settings: Settings) -> int:
    """Seal what an earlier version left in clear; returns how many. Cut off, it goes on from where it was."""
    if (settings.archive / SEALED).exists():
        return 0
    sealed = reseal(settings, keyring(settings), only_clear=True)
    (settings.archive / SEALED).touch()
    return sealed


def reseal(settings: Settings, keys: Keyring, only_clear: bool = False) -> int:
    """Seal every original with the current key that is not; returns how many. Each is whole before and after."""
    done = 0
    with _locked(settings, ".sealing", fcntl.LOCK_EX):
        for path in sorted(settings.archive.glob("??/*")):
            if path.name.startswith("."):
                path.unlink(missing_ok=True)  # of a run that was cut off
                continue
            key = key_of(path)
            if key is None or (key != keys.current and not only_clear):
                _replace(path, read_path(path, keys), keys)
                done += 1
    return done


def sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


# ---------------------------------------------------------------- the format


def _seal(pieces: Iterator[bytes], out: BinaryIO, keys: Keyring) -> None:
    name, prefix = keys.current.encode("ascii"), secrets.token_bytes(PREFIX)
    head = MARK + bytes([len(name)]) + name + prefix
    cipher, number = keys.cipher(keys.current), 0
    out.write(head)
    piece = next(pieces, b"")
    for following in pieces:
        out.write(cipher.encrypt(_nonce(prefix, number, False), piece, head))
        piece, number = following, number + 1
    out.write(cipher.encrypt(_nonce(prefix, number, True), piece, head))


def _pieces(handle: BinaryIO, keys: Keyring) -> Iterator[bytes]:
    mark = handle.read(len(MARK))
    if mark != MARK:
        yield mark
        while piece := handle.read(PIECE):
            yield piece
        return
    length = handle.read(1)
    name, prefix = handle.read(length[0] if length else 0), handle.read(PREFIX)
    head = mark + length + name + prefix
    cipher = keys.cipher(name.decode("ascii", "replace"))
    piece, number = handle.read(PIECE + TAG), 0
    try:
        while True:
            following = handle.read(PIECE + TAG)
            yield cipher.decrypt(_nonce(prefix, number, not following), piece, head)
            if not following:
                return
            piece, number = following, number + 1
    except (InvalidTag, ValueError) as error:
        raise Altered("An original of the archive was altered or cut off: it does not open any more.") from error


def _nonce(prefix: bytes, number: int, last: bool) -> bytes:
    return prefix + number.to_bytes(4, "big") + (b"\x01" if last else b"\x00")
