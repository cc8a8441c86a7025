"""Numbers as official writing has them: 万人, 亿元, 万元, percent to two places, rounded half up."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from reporting.metrics import units

CENT = Decimal("0.01")
TEN_THOUSAND, HUNDRED_MILLION = 10_000, 100_000_000
PEOPLE = ("人", "户")  # counted in 万 also where the word depends on the row
NUMERALS = "零一二三四五六七八九十"


def rounded(value: Decimal | int) -> str:
    """Two places, half up."""
    return str(Decimal(value).quantize(CENT, ROUND_HALF_UP))


def shortest(value: Decimal | int) -> str:
    """A count as it is; parts of a whole to two places at most."""
    number = Decimal(value)
    return f"{number:.0f}" if number == number.to_integral() else rounded(number).rstrip("0")


def written(value: Decimal | int, unit: str, word: str) -> str:
    """A figure of running text with its unit; ``word`` is the unit's Chinese word."""
    size = abs(Decimal(value))
    if unit == "fraction":
        return f"{rounded(Decimal(value) * 100)}%"
    if unit == "yuan":
        return f"{rounded(Decimal(value) / HUNDRED_MILLION)}亿元" if size >= HUNDRED_MILLION else f"{rounded(Decimal(value) / TEN_THOUSAND)}万元"
    if unit == "yuan_per_household":
        return f"{rounded(value)}元"
    if (units()[unit].get("ten_thousands") or word in PEOPLE) and size >= TEN_THOUSAND:
        return f"{rounded(Decimal(value) / TEN_THOUSAND)}万{word}"
    return shortest(value) + word


def in_table(value: Decimal | int, unit: str) -> str:
    """A figure of a table, whose heading bears the unit (`table_unit`)."""
    if unit == "fraction":
        return rounded(Decimal(value) * 100)
    if unit == "yuan":
        return rounded(Decimal(value) / TEN_THOUSAND)
    return rounded(value) if unit == "yuan_per_household" else shortest(value)


def table_unit(unit: str, word: str) -> str:
    return {"fraction": "%", "yuan": "万元"}.get(unit, word)


def change(now: Decimal | int, before: Decimal | int, unit: str, word: str) -> str:
    """The difference with its sign; of shares in percentage points."""
    difference = Decimal(now) - Decimal(before)
    if unit == "fraction":
        points = Decimal(rounded(Decimal(now) * 100)) - Decimal(rounded(Decimal(before) * 100))  # as printed, so that a reader's sum agrees
        return "持平" if not points else f"{'+' if points > 0 else '−'}{abs(points)}个百分点"
    if not difference:
        return "持平"
    return ("+" if difference > 0 else "−") + written(abs(difference), unit, word)


def numeral(number: int) -> str:
    """一 to 九十九."""
    tens, ones = divmod(number, 10)
    if number <= 10:
        return NUMERALS[number]
    return ("" if tens == 1 else NUMERALS[tens]) + "十" + (NUMERALS[ones] if ones else "")
