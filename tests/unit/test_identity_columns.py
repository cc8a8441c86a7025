"""A long column of identity numbers is judged as each of them would be."""

from __future__ import annotations

import datetime as dt
import random

import pytest

from demo.people import id_number
from ingestion import identity

PROVINCES = frozenset({"45", "11"})
BORN_BY = dt.date(2020, 6, 14)


def numbers(count: int) -> list[str]:
    """Right ones, and ones with a character changed, a date that is none, or a small x."""
    chance, found = random.Random(7), []
    for n in range(count):
        number = id_number(chance.choice(("451002", "450000", "110101", "990101")), n)
        match chance.randrange(6):
            case 0:
                place = chance.randrange(18)
                number = number[:place] + chance.choice("0123456789Xx:/ aZ~") + number[place + 1 :]
            case 1:
                number = number[:6] + chance.choice(("20200614", "20200615", "18991231", "19000101", "20190229", "00000000")) + number[14:]
                number = number[:17] + identity.check_character(number[:17])
            case 2:
                number = number.lower()
        found.append(number)
    return found


@pytest.mark.parametrize("odd", [[], [None], ["45100219700101"], ["４５1002197001010011"]])
def test_a_column_gives_what_its_numbers_give(odd):
    column = numbers(identity.LONG_COLUMN + 500) + odd
    wrong = [i for i, number in enumerate(column) if number is not None and identity.fault(number, PROVINCES, BORN_BY)]
    assert 1_000 < len(wrong) < len(column) - 1_000
    assert identity.suspects(column, PROVINCES, BORN_BY) == wrong
