"""Keyed pseudonyms: the same person or household gets the same key in every form, and nobody without the secret
can work back from it.

HMAC-SHA-256 with a secret of this home (``home/secrets/pseudonym_key``). Losing the secret breaks the link between
old and new rows; it never has to leave the machine.
"""

from __future__ import annotations

import hmac

from ingestion.raw_tables import pseudonym_column
from warehouse.settings import Settings

SECRET = "pseudonym_key"
HEX_DIGITS = 32  # 128 bits: no collision among 10^8 households, half the storage of the whole digest


class Pseudonyms:
    """Pseudonyms under one secret, remembered while the object lives (a household appears on many rows)."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode("ascii")
        self._known: dict[str, dict[str, str]] = {}

    @classmethod
    def of(cls, settings: Settings) -> Pseudonyms:
        return cls(settings.secret(SECRET))

    def of_value(self, field: str, value: str | None) -> str | None:
        """The pseudonym of one value of a field (``household_no``); None stays None."""
        return self.of_column(field, [value])[0]

    def of_column(self, field: str, values: list[str | None]) -> list[str | None]:
        """The pseudonyms of a whole column, in order. The field's name is part of what is hashed."""
        column = pseudonym_column(field)
        known = self._known.setdefault(column, {})
        prefix = column.encode("ascii") + b":"
        for value in {v for v in values if v is not None} - known.keys():
            message = prefix + value.encode("utf-8", "surrogatepass")
            known[value] = hmac.digest(self._secret, message, "sha256").hex()[:HEX_DIGITS]
        return [None if v is None else known[v] for v in values]
