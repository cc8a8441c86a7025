"""Made-up people: names from a list of parts, ID numbers with a valid GB 11643 check digit. Nobody real is meant."""

from __future__ import annotations

import datetime as dt
import random

SURNAMES = "黄韦李陆罗农梁陈覃何王张杨岑周莫蒙卢潘苏班凌唐廖许"
GIVEN = "安宝昌春大德芳福光桂国海红花华建金兰丽林美明荣胜世文秀英玉元云正志忠"
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # GB 11643-1999, 17 digits
CHECK = "10X98765432"
FIRST_BIRTHDAY = dt.date(1944, 1, 1)
BIRTHDAYS = 18_500  # days: heads of households born 1944 to 1994


def name(chance: random.Random) -> str:
    """A surname and one or two further characters."""
    given = "".join(chance.choice(GIVEN) for _ in range(chance.choice((1, 2, 2))))
    return chance.choice(SURNAMES) + given


def check_digit(seventeen: str) -> str:
    """The eighteenth character of an ID number (GB 11643-1999, MOD 11-2)."""
    return CHECK[sum(int(digit) * weight for digit, weight in zip(seventeen, WEIGHTS, strict=True)) % 11]


def id_number(address_code: str, number: int) -> str:
    """The valid ID number of the ``number``-th person under an address code; different numbers differ.

    Numbers run to 18,500 birthdays times 999 sequence numbers; beyond that a ValueError is raised.
    """
    sequence = number // BIRTHDAYS + 1
    if not 1 <= sequence <= 999:
        raise ValueError(f"no ID number left for person {number} under {address_code}")
    # 7,919 is prime to 18,500: neighbours in the list have birthdays far apart, and none comes twice
    birthday = FIRST_BIRTHDAY + dt.timedelta(days=number * 7_919 % BIRTHDAYS)
    seventeen = f"{address_code}{birthday:%Y%m%d}{sequence:03d}"
    return seventeen + check_digit(seventeen)


def with_wrong_check_digit(number: str) -> str:
    """The same ID number with its last character off by one place: the commonest slip of the pen."""
    return number[:-1] + CHECK[(CHECK.index(number[-1]) + 1) % 11]
