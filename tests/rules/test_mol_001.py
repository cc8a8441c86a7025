"""MOL-001: identity numbers follow GB 11643."""

import pytest

from ingestion.identity import check_character
from tests.rules.builder import found

BODY = "45102619720229001"  # a leap day
GOOD = BODY + check_character(BODY)


def of_number(number):
    return found("MOL-001", "MON02", {"household_no": "N1", "id_number": number})


def test_pass_also_with_codes_of_other_and_former_places():
    assert of_number(GOOD) == []
    for code in ("452622", "110101", "441900"):
        assert of_number(code + BODY[6:] + check_character(code + BODY[6:])) == []


@pytest.mark.parametrize(
    ("number", "what"),
    [
        (BODY + next(c for c in "0123456789X" if c != GOOD[-1]), "校验码"),
        (GOOD[:-1], "18位"),
        (GOOD[:5] + "O" + GOOD[6:], "字符"),
        ("99" + GOOD[2:], "地址码"),
        ("4500" + GOOD[4:], "地址码"),
        (GOOD[:6] + "19710229" + GOOD[14:], "出生日期"),
        (GOOD[:6] + "20210101" + GOOD[14:], "出生日期"),
    ],
)
def test_fail_says_why_and_keeps_the_number_to_itself(number, what):
    (finding,) = of_number(number)
    assert (finding.field, finding.row_no) == ("id_number", 1)
    assert what in finding.message_zh
    assert number not in finding.message_zh and number[6:14] not in finding.message_zh
    assert finding.value == number[:3] + "*" * (len(number) - 7) + number[-4:]
    assert finding.expected is None


def test_not_evaluable():
    assert of_number(None) == []
