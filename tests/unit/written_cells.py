"""A true value as a county writes it into a cell: numbers, rates and dates in a house style."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from ingestion.contract_model import Field
from ingestion.reference import Codes
from tests.unit.house_styles import Style

MONEY = {"元": Decimal(1), "千元": Decimal(1000), "万元": Decimal(10_000), "亿元": Decimal(100_000_000)}
FULL_WIDTH = str.maketrans("0123456789.,%", "０１２３４５６７８９．，％")


def cell_of(f: Field, value: Any, style: Style, codes: Codes, unit: str | None) -> Any:
    """A true value as this county writes it."""
    rng = style.rng
    if value is None:
        return style.blank if f.type != "boolean" else ""
    match f.type:
        case "integer" | "decimal":
            return _number(f, value, style, unit)
        case "percent":
            return _percent(value, style)
        case "date":
            return _date(value, style)
        case "boolean":
            labels = f.values.get("true" if value else "false") or (("是", "√", "✓") if value else ("否", "×"))
            return rng.choice(labels)
        case "code" if f.codes == "values":
            return f.values[value][0]
        case "code" if f.codes in ("township", "village"):
            return rng.choice(["", "", "  ", "\u3000"]) + codes.place_name(value)
        case "code" if f.codes == "industry":
            return codes.industries[value]
    return value


def _number(f: Field, value: Any, style: Style, unit: str | None) -> Any:
    rng = style.rng
    own = ""
    if f.money and style.unit_in == "cell":
        unit = rng.choice(["元", "万元", "亿元"])
        own = unit
    bare = Decimal(value) / MONEY[unit] if f.money and unit else Decimal(value)
    text = f"{bare.normalize():f}"
    how = style.numbers if style.numbers != "mixed" else rng.choice(["plain", "text", "separators", "full_width", "formula", "spaced", "zero"])
    if own:
        return (f"{bare:,}" if how == "separators" else text) + rng.choice(["", " "]) + own
    number = float(text) if "." in text else int(text)
    match how:
        case "text":
            return text
        case "separators":
            whole, _, rest = text.partition(".")
            return f"{int(whole):,}" + (f".{rest}" if rest else "")
        case "full_width":
            return text.translate(FULL_WIDTH)
        case "spaced":
            return f" {text} \u00a0"
        case "zero":
            return f"{text}.0" if "." not in text else text + "0"
        case "formula":
            return ("=", number)
    return number


def _percent(value: Decimal, style: Style) -> Any:
    rng = style.rng
    hundred = f"{(value * 100).normalize():f}"
    if style.percent == "heading":
        return rng.choice([hundred, float(hundred), hundred.translate(FULL_WIDTH)])
    if style.percent == "mixed":
        return rng.choice([hundred + "%", hundred + " %", hundred.translate(FULL_WIDTH) + "％"])
    return hundred + "%"


def _date(day: dt.date, style: Style) -> Any:
    how = style.rng.choice(["iso", "dots", "slashes", "chinese", "packed", "cell"])
    return {
        "iso": day.isoformat(), "dots": f"{day.year}.{day.month}.{day.day}", "slashes": f"{day.year}/{day.month}/{day.day}",
        "chinese": f"{day.year}年{day.month}月{day.day}日", "packed": f"{day:%Y%m%d}", "cell": day,
    }[how]  # fmt: skip


def number_text(value: Any) -> Any:
    text = f"{Decimal(value).normalize():f}"
    return float(text) if "." in text else int(text)
