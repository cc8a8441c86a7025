"""Keys for personal data, and what is sealed with them: authenticated encryption (AES-256-GCM), never without a key id.

The keys are outside the database: in ``home/secrets/data_keys``, or in WAREHOUSE_DATA_KEYS where a vault hands them to the
process. One line a key, ``id:64 hex digits``; the first seals, all of them open. The key of pseudonyms is another one
(`ingestion.pseudonyms`): it stays what it is when these are rotated, see docs/personal-data.md.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from warehouse.settings import Settings, WarehouseError

VARIABLE, FILE = "WAREHOUSE_DATA_KEYS", "data_keys"
NONCE = 12  # bytes


@dataclass(frozen=True)
class Keyring:
    """Keys by id, the newest first. Travels to reader processes by pipe; `repr` shows ids only."""

    keys: dict[str, bytes] = field(repr=False)

    @property
    def current(self) -> str:
        return next(iter(self.keys))

    @cached_property
    def _ciphers(self) -> dict[str, AESGCM]:
        return {name: AESGCM(key) for name, key in self.keys.items()}

    def __getstate__(self) -> dict:
        return {"keys": self.keys}  # a cipher does not travel

    def cipher(self, key_id: str) -> AESGCM:
        """The cipher of a key. Raises WarehouseError where the key is not here."""
        try:
            return self._ciphers[key_id]
        except KeyError:
            raise WarehouseError(
                f"The key {key_id!r}, with which something here was sealed, is not among the keys of this home. Put it back into secrets/{FILE} or {VARIABLE}."
            ) from None

    def seal(self, data: bytes, about: str) -> bytes:
        """Nonce and sealed data under the current key; it opens only for the same ``about``."""
        nonce = secrets.token_bytes(NONCE)
        return nonce + self.cipher(self.current).encrypt(nonce, data, about.encode())

    def open(self, sealed: bytes, about: str, key_id: str) -> bytes:
        """What was sealed. Raises WarehouseError where it was altered, or belongs elsewhere."""
        sealed = bytes(sealed)
        try:
            return self.cipher(key_id).decrypt(sealed[:NONCE], sealed[NONCE:], about.encode())
        except InvalidTag as error:
            raise WarehouseError(f"What is kept for {about} was altered, or sealed with another key of the same name.") from error


def keyring(settings: Settings) -> Keyring:
    """The keys of a home; the first one is made at first use. Raises WarehouseError for keys that cannot be read."""
    given = os.environ.get(VARIABLE)
    if given:
        return _parsed(given.replace(",", "\n"), VARIABLE)
    path = settings.home / "secrets" / FILE
    if not path.exists():
        settings.secret(FILE, 32, form=f"{new_id([])}:{{}}\n")
    return _parsed(path.read_text(encoding="ascii"), str(path))


def random_keyring() -> Keyring:
    """Keys that nobody keeps, for what is thrown away with the process."""
    return Keyring({"none": secrets.token_bytes(32)})


def new_id(known: list[str]) -> str:
    return f"k{max([0, *(int(name[1:]) for name in known if name[:1] == 'k' and name[1:].isdigit())]) + 1}"


def add_key(settings: Settings) -> Keyring:
    """A new key, which seals from now on; the old ones still open. Raises WarehouseError where the keys come from elsewhere."""
    if os.environ.get(VARIABLE):
        raise WarehouseError(f"The keys come from {VARIABLE}: put a new one in front there, then run `warehouse rotate-key --no-new-key`.")
    have = keyring(settings)
    return _write(settings, {new_id(list(have.keys)): secrets.token_bytes(32)} | have.keys)


def owned(settings: Settings) -> bool:
    """Whether the keys are this home's own, not another's who hands them to us."""
    return not os.environ.get(VARIABLE)


def retire(settings: Settings, key_ids: list[str]) -> Keyring:
    """Take keys away with which nothing is sealed any more."""
    have = keyring(settings)
    return _write(settings, {name: key for name, key in have.keys.items() if name == have.current or name not in key_ids})


def _write(settings: Settings, keys: dict[str, bytes]) -> Keyring:
    path: Path = settings.home / "secrets" / FILE
    draft = path.with_name(f".{FILE}.{secrets.token_hex(8)}")
    draft.touch(mode=0o600)
    with draft.open("w", encoding="ascii") as handle:
        handle.writelines(f"{name}:{key.hex()}\n" for name, key in keys.items())
        handle.flush()
        os.fsync(handle.fileno())
    draft.replace(path)  # never without the old keys: the file is whole before or after
    return Keyring(keys)


def _parsed(text: str, where: str) -> Keyring:
    keys = {}
    for number, line in enumerate(filter(str.strip, text.splitlines()), 1):
        name, colon, digits = line.strip().partition(":")
        try:
            key = bytes.fromhex(digits)
        except ValueError:
            key = b""
        if not colon or not name.isalnum() or len(name) > 16 or len(key) != 32:
            raise WarehouseError(f"{where}: key {number} is not of the form id:64 hex digits.")
        keys[name] = key
    if not keys:
        raise WarehouseError(f"{where} holds no key.")
    return Keyring(keys)
