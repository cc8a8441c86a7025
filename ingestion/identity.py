"""Citizen identity numbers: GB 11643-1999, eighteen characters.

Six digits of address code, eight of birth date, three of sequence, and one check character: ISO 7064 MOD 11-2.
A person keeps the number given at first registration, so its address code may be of any place of the country and
long abolished; only a province that does not exist, or no prefecture at all (00), makes it impossible.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Container, Sequence
from operator import mul
from typing import Literal

Fault = Literal["length", "characters", "address", "birth_date", "check_digit"]

_WEIGHTS = tuple(pow(2, 17 - place, 11) for place in range(17))  # 7 9 10 5 8 4 2 1 6 3 7 9 10 5 8 4 2
_CHARACTERS = "10X98765432"  # by the weighted sum modulo 11
_ASCII_ZEROS = ord("0") * sum(_WEIGHTS)
LONG_COLUMN = 5_000
_EARLIEST = dt.date(1900, 1, 1)


def check_character(body: str) -> str:
    """The eighteenth character for the first seventeen digits."""
    return _CHARACTERS[(sum(map(mul, body.encode("ascii"), _WEIGHTS)) - _ASCII_ZEROS) % 11]


def fault(number: str, provinces: Container[str], born_by: dt.date) -> Fault | None:
    """What is wrong with an identity number, or None.

    ``provinces`` are the two-digit codes that exist; ``born_by`` is the last possible birth date.
    """
    if len(number) != 18:
        return "length"
    body, last = number[:17], number[17]
    if not (number.isascii() and body.isdigit() and last in "0123456789Xx"):
        return "characters"
    if number[:2] not in provinces or number[2:4] == "00":
        return "address"
    born = _date(number[6:14])
    if born is None or born > born_by:
        return "birth_date"
    return None if check_character(body) == last.upper() else "check_digit"


def suspects(numbers: Sequence[str | None], provinces: Container[str], born_by: dt.date) -> list[int]:
    """Positions of the numbers (None: blank) that `fault` has to look at; every other one is right.

    Long columns are weighed as a whole, which takes a tenth of the time.
    """
    if len(numbers) < LONG_COLUMN or set(map(type, numbers)) != {str}:
        return [i for i, number in enumerate(numbers) if number is not None and fault(number, provinces, born_by)]
    text = "".join(numbers)
    if not text.isascii() or set(map(len, numbers)) != {18}:
        return [i for i, number in enumerate(numbers) if fault(number, provinces, born_by)]
    import numpy  # a tenth of a second, so only for a long column

    digits = numpy.frombuffer(text.encode("ascii"), numpy.uint8).reshape(-1, 18)[:, :17].astype(numpy.int32) - ord("0")
    wrong = ((digits < 0) | (digits > 9)).any(axis=1)
    place = digits[:, :4] @ numpy.array([1000, 100, 10, 1], numpy.int32)
    known = numpy.array([p in provinces for p in map("{:02d}".format, range(100))])
    wrong |= ~known[numpy.clip(place // 100, 0, 99)] | (place % 100 == 0)
    born = digits[:, 6:14] @ numpy.array([10**k for k in range(7, -1, -1)], numpy.int32)
    days, which = numpy.unique(born, return_inverse=True)
    dates = [_date(f"{day:08d}") if 0 <= day < 10**8 else None for day in days.tolist()]
    wrong |= numpy.array([d is None or d > born_by for d in dates])[which]
    last = numpy.frombuffer(_CHARACTERS.encode("ascii"), numpy.uint8)[digits @ numpy.array(_WEIGHTS, numpy.int32) % 11]
    given = numpy.frombuffer(text.upper().encode("ascii"), numpy.uint8).reshape(-1, 18)[:, 17]
    return numpy.flatnonzero(wrong | (given != last)).tolist()


@functools.lru_cache(maxsize=1 << 16)
def _date(digits: str) -> dt.date | None:
    try:
        day = dt.date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None
    return day if day >= _EARLIEST else None


def masked(text: str) -> str:
    """``510***********1234`` for a long number, stars alone for a short one; other personal text keeps nothing."""
    if len(text) >= 12 and text.isascii():
        return text[:3] + "*" * (len(text) - 7) + text[-4:]
    return "*" * len(text)
