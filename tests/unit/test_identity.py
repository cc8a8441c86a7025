"""GB 11643 check characters, against published examples."""

import datetime as dt

import pytest

from ingestion.identity import check_character, fault, masked

PROVINCES = {"11", "34", "44", "45"}
TODAY = dt.date(2020, 6, 14)


@pytest.mark.parametrize("number", ["11010519491231002X", "440524188001010014", "34052419800101001X"])
def test_examples_of_the_standard(number):
    """The first two are the examples printed in GB 11643-1999, the third a common one in textbooks."""
    assert check_character(number[:17]) == number[17]


def test_a_small_x_is_an_x():
    assert fault("11010519491231002x", PROVINCES, TODAY) is None


@pytest.mark.parametrize(
    ("number", "what"),
    [
        ("110105194912310021", "check_digit"),
        ("1101051949123100", "length"),
        ("11010519491231002Y", "characters"),
        ("１１０１０５１９４９１２３１００２", "length"),
        ("1101051949123100２X", "characters"),
        ("99010519491231002X", "address"),
        ("11000519491231002X", "address"),
        ("11010519490231002X", "birth_date"),
        ("11010520490131002X", "birth_date"),
        ("440524188001010014", "birth_date"),  # nobody alive was born in 1880
    ],
)
def test_faults(number, what):
    assert fault(number, PROVINCES, TODAY) == what


def test_born_on_the_day_itself():
    body = "11010520200614001"
    number = body + check_character(body)
    assert fault(number, PROVINCES, TODAY) is None
    assert fault(number, PROVINCES, dt.date(2020, 6, 13)) == "birth_date"


def test_masked():
    assert masked("11010519491231002X") == "110***********002X"
    assert masked("张三") == "**" and masked("1234") == "****" and masked("") == ""
