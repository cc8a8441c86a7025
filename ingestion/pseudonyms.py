"""Keyed pseudonyms: the same person or household gets the same key in every form, and nobody without the secret
can work back from it.

HMAC-SHA-256 with a secret of this home (``home/secrets/pseudonym_key``, or WAREHOUSE_PSEUDONYM_KEY). Losing the secret
breaks the link between old and new rows; it never has to leave the machine. It is not among the keys that are rotated:
pseudonyms that changed would not join any more (docs/personal-data.md).
"""

from __future__ import annotations

import hashlib
import os

from ingestion.raw_tables import pseudonym_column
from warehouse.keys import Keyring, keyring, random_keyring
from warehouse.settings import Settings, WarehouseError

SECRET, VARIABLE = "pseudonym_key", "WAREHOUSE_PSEUDONYM_KEY"
BLOCK = 64  # bytes of SHA-256's block
LARGE = 5_000  # rows asked for at once
HEX_DIGITS = 32  # 128 bits: no collision among 10^8 households, half the storage of the whole digest


class Pseudonyms:
    """Pseudonyms under one secret, remembered while the object lives (a household appears on many rows).

    ``keys`` seal the values themselves; who reads a file has both or neither.
    """

    def __init__(self, secret: str, keys: Keyring | None = None) -> None:
        self._secret = secret.encode("ascii")
        self.keys = keys or random_keyring()
        self._known: dict[str, dict[str, str]] = {}

    @classmethod
    def of(cls, settings: Settings) -> Pseudonyms:
        given = os.environ.get(VARIABLE, "").strip()
        if given and (len(given) < BLOCK // 2 or not given.isascii()):
            raise WarehouseError(f"{VARIABLE} is too short for a key: give at least {BLOCK // 2} characters of ASCII.")
        return cls(given or settings.secret(SECRET), keyring(settings))

    def of_value(self, field: str, value: str | None) -> str | None:
        """The pseudonym of one value of a field (``household_no``); None stays None."""
        return self.of_column(field, [value])[0]

    def of_column(self, field: str, values: list[str | None]) -> list[str | None]:
        """The pseudonyms of a whole column, in order. The field's name is part of what is hashed."""
        column = pseudonym_column(field)
        if len(values) > LARGE:  # too many to be remembered, and hardly one of them twice
            return self._hashed(column, values)
        known = self._known.setdefault(column, {})
        unknown = [v for v in dict.fromkeys(values) if v is not None and v not in known]
        known.update(zip(unknown, self._hashed(column, unknown), strict=True))
        return [None if v is None else known[v] for v in values]

    def _hashed(self, column: str, values: list[str | None]) -> list[str | None]:
        """HMAC (RFC 2104) written out, since copying the two states that all values share takes a third of the time."""
        key = self._secret if len(self._secret) <= BLOCK else hashlib.sha256(self._secret).digest()
        key = key.ljust(BLOCK, b"\0")
        begun = hashlib.sha256(bytes(b ^ 0x36 for b in key) + column.encode("ascii") + b":").copy
        sealed = hashlib.sha256(bytes(b ^ 0x5C for b in key)).copy
        found: list[str | None] = []
        add = found.append
        for value in values:
            if value is None:
                add(None)
                continue
            inner, outer = begun(), sealed()
            inner.update(value.encode("utf-8", "surrogatepass"))
            outer.update(inner.digest())
            add(outer.hexdigest()[:HEX_DIGITS])
        return found
