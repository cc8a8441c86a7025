"""From what stands in a cell to a typed value, a column at a time; what is not of its type becomes a Problem."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from ingestion.contract_model import Field
from ingestion.grid import FOOTNOTES, number_text, parts_of, plain, squeeze
from ingestion.recognise import PERCENT, Recogniser
from ingestion.reference import Codes
from ingestion.units import POWERS, RATES
from ingestion.weeks import full_date_in

FEN = Decimal("0.01")
LARGEST_WHOLE, LARGEST = 2**31 - 1, Decimal(10) ** 15  # beyond any count and any sum of yuan in the country
_NUMBER = re.compile(r"([+-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?|[+-]?\.\d+)(?:[eE]([+-]?\d{1,2}))?")
_GAP = re.compile(r"\d\s+\d")
_GROUPED = re.compile(r"(?<![\d\s])\s*\d{1,3}(?:[ \u2009]\d{3})+(?!\s*\d)")
_BRACKETED = re.compile(r"\((\d[\d,.]*)\)")
_ENUMERATION = re.compile(r"^(?:\([一二三四五六七八九十\d]{1,3}\)[、.]?|[一二三四五六七八九十]+[、.]|\d{1,2}[、.)](?!\d))")
_PART = re.compile("\\(其中\\)|其中|#(?=[\u4e00-\u9fff])")  # a part of the row above it, counted there already
_MONTH_DAY = re.compile(r"(\d{1,2})(?:月(\d{1,2})[日号]?|[./-](\d{1,2}))")
_SQUEEZED = re.compile("[0-9A-Za-z\u4e00-\u9fff]+")  # what most cells are, and `squeeze` leaves as it is
_FIRST_DAY, _LAST_DAY = dt.date(1900, 1, 1), dt.date(2100, 1, 1)


def says_nothing(text: str, blank: frozenset[str]) -> bool:
    """The text is one of some marks (squeezed), whatever its width and the spaces around it."""
    if text in blank:
        return True
    return not _SQUEEZED.fullmatch(text) and ((len(text) <= 8 and squeeze(text) in blank) or not text.strip())


@dataclass(slots=True)
class Problem:
    """Why a cell could not be taken: the rule broken, and for the message what is expected and how to mend it."""

    rule: str
    wrong: str
    mend: str


@dataclass(slots=True)
class Converted:
    values: list[Any]
    blank: bool  # whether any value is None
    problems: dict[int, Problem] = field(default_factory=dict)  # by position in the column
    texts: dict[int, str] = field(default_factory=dict)  # as written, where that differs from the value's own text
    signed: set[int] = field(default_factory=set)  # percent: cells with their own sign


class Converter:
    """Conversion of one form of one county and week."""

    def __init__(self, recogniser: Recogniser, codes: Codes, county: str | None, week: str | None):
        self.recogniser = recogniser
        self.codes = codes
        self.county = county
        self.year = int(week[:4]) if week else None
        self.sunday = dt.date.fromisocalendar(int(week[:4]), int(week[6:]), 7) if week else None
        writing = recogniser.writing
        self.blank = frozenset(map(squeeze, writing["blank"]))
        self.errors = frozenset(writing["error_values"])
        self._summaries = frozenset(map(squeeze, writing["summary_labels"]))
        self._summary_beginnings = tuple(squeeze(w) for w in (*writing["other_period_words"], *writing["summary_beginnings"]))
        self.all_units = recogniser.units | {"吨", "公里", "平方米"}

    def is_blank(self, cell: Any) -> bool:
        """Blank, —, / or 无: not reported. Zero is never blank."""
        return cell == "" or cell is None or (isinstance(cell, str) and says_nothing(cell, self.blank))

    def column(self, field: Field, cells: list[Any], unit: str | None = None) -> Converted:
        """Convert a column. ``unit``: what a bare number is in — a money unit, or % for a percent. Blanks become None."""
        one, blank = self._one(field, unit), self._blanks_of(field)
        if bool in set(map(type, cells)) and field.type != "boolean":  # True == 1, and would stand for it below
            cells = [plain(c) if isinstance(c, bool) else c for c in cells]
        key = one in (self._free_key, self._name) and not any(w.isascii() for w in (*self._summaries, *self._summary_beginnings))
        if key or one is _free_text or one is _identifier:
            plainly = _plain_texts(cells, blank, ascii_only=one is not _free_text)
            if plainly is not None:
                return Converted(plainly, blank=plainly is not cells)
        memo: dict[Any, Any] = {}
        problems: dict[Any, Problem] = {}
        texts: dict[Any, str] = {}
        values: list[Any] = []
        for part in parts_of(cells):
            for cell in set(part).difference(memo):  # columns repeat themselves: each text is converted once
                if cell is None or (type(cell) is str and says_nothing(cell, blank)):
                    memo[cell] = None
                    continue
                memo[cell], problem, text = one(cell)
                if problem is not None:
                    problems[cell] = problem
                if text is not None:
                    texts[cell] = text
            values.extend(map(memo.__getitem__, part))
        result = Converted(values, blank=any(value is None for value in memo.values()))
        if problems:
            result.problems = {i: problems[c] for i, c in enumerate(cells) if c in problems}
        if texts:
            result.texts = {i: texts[c] for i, c in enumerate(cells) if c in texts}
        if field.type == "percent":
            result.signed = {i for i, c in enumerate(cells) if isinstance(c, str) and squeeze(c).endswith((PERCENT, "‰"))}
        return result

    def _blanks_of(self, field: Field) -> frozenset[str]:
        """Texts that mean "not reported" in a column: no rate where its base is zero; 无 may be an answer to yes or no."""
        if field.kind == "declared":
            return self.blank | self.errors
        if field.type == "boolean":
            return frozenset(b for b in self.blank if b not in self._yes_no(field))
        return self.blank

    def _one(self, field: Field, unit: str | None) -> Callable[[Any], tuple]:
        if field.type == "integer":
            whole_factor = self.recogniser.unit_system.factor(field, unit)
            return lambda cell: self._number(cell, field, whole_factor, whole=True)
        if field.type == "decimal":
            factor = Decimal(self.recogniser.money.get(unit or "元", "1")) if field.money else self.recogniser.unit_system.factor(field, unit)
            return lambda cell: self._number(cell, field, factor, whole=False)
        if field.type == "percent":
            return lambda cell: self._percent(cell, field, RATES.get(unit or "", Decimal(1)))
        if field.type == "date":
            return lambda cell: self._date(cell, field)
        if field.type == "boolean":
            return lambda cell: self._boolean(cell, field)
        if field.type == "code" and field.codes == "values":
            labels = self._labels(field)
            return lambda cell: self._label(cell, field, labels)
        if field.type == "code" and field.codes in ("township", "village"):
            return lambda cell: self._place(cell, field)
        if field.type == "code" and field.codes == "industry":
            return self._industry
        if field.kind == "key":
            return self._name if field.type == "text" and not field.pseudonymised and not _is_number_like(field) else self._free_key
        return _identifier if field.codes == "identifier" or field.pseudonymised or _is_number_like(field) else _free_text

    # Numbers

    def _number(self, cell: Any, field: Field, factor: Decimal, whole: bool) -> tuple:
        text = None
        if isinstance(cell, bool):
            return self._not_number(whole)
        if isinstance(cell, int):
            number = Decimal(cell)
        elif isinstance(cell, float):
            if cell != cell or abs(cell) == float("inf"):
                return self._not_number(whole)
            number = Decimal(number_text(cell))
        elif isinstance(cell, str):
            parsed = self._parse(cell, field, factor)
            if parsed is None:
                return self._not_number(whole)
            number, own_factor = parsed
            factor = own_factor if own_factor is not None else factor
            text = cell.strip()
        else:
            return self._not_number(whole)
        bare = number
        if factor != 1:
            number = number * factor
        if number < 0 and not field.signed:
            return None, Problem("GEN-NEG", "数量或金额不能为负数", "请填写大于或等于 0 的数"), None
        if number > (LARGEST_WHOLE if whole else LARGEST):
            return None, Problem("GEN-TYPE", "数字大得反常，超出可能的范围", "请核对数字和金额单位"), None
        if field.money:
            number = number.quantize(FEN, ROUND_HALF_UP)
        if whole:
            if number != number.to_integral_value():
                return None, Problem("GEN-TYPE", "应当是整数，不能带小数", "请填写整数"), None
            return int(number), None, _differs(text, bare, int(number))
        return number, None, _differs(text, bare, number)

    def _parse(self, text: str, field: Field, factor: Decimal = Decimal(1)) -> tuple[Decimal, Decimal | None] | None:
        """A number in a text and, for money with its unit behind it, the factor that goes before heading and line."""
        key = squeeze(text).replace("−", "-")
        if key.startswith("¥"):  # says yuan, so a bare figure can't be of 万元
            key = key[1:]
            if not field.money:
                return None
            if _NUMBER.fullmatch(key) and factor != 1:
                return None
        if any(unicodedata.category(c) == "No" for c in text if c > "\x7f"):
            return None  # 100① or 5²: a footnote's mark, or a power
        if _GAP.search(text) and not _GROUPED.search(unicodedata.normalize("NFKC", text)):
            return None  # 12 34 or two lines: two numbers in one cell
        if bracketed := _BRACKETED.fullmatch(key):
            key = "-" + bracketed.group(1)
        found = _NUMBER.match(key)
        if not found:
            return None
        try:
            number = Decimal(found.group(0).replace(",", ""))
        except InvalidOperation:
            return None
        behind = key[found.end() :].strip()
        if not behind:
            return number, None
        if field.money:
            unit = behind + "元" if behind in ("万", "亿", "千") else behind
            factor = self.recogniser.money.get(unit)
            return (number, Decimal(factor)) if factor else None
        return self._with_unit(number, behind, field)

    def _with_unit(self, number: Decimal, behind: str, field: Field) -> tuple[Decimal, Decimal | None] | None:
        """A number that carries its own unit: taken where that is the field's, times a power of ten at most."""
        units = self.recogniser.unit_system
        own, stated = units.of(field), units.parse(behind)
        if behind in ("万", "亿"):
            return number, POWERS[behind] / (own[0] if own else 1)
        if own:
            return (number, stated.power / own[0]) if stated and stated.word in own[1] else None
        if field.unit_by_row:
            return (number, stated.power if stated and stated.power != 1 else None) if behind in self.all_units and behind != PERCENT else None
        return (number, None) if stated and not units.telling(stated) else None

    @staticmethod
    def _not_number(whole: bool) -> tuple:
        return None, Problem("GEN-TYPE", "应当是数字", "请只填写" + ("整数" if whole else "数字") + "，说明文字写在备注里"), None

    def _percent(self, cell: Any, field: Field, factor: Decimal) -> tuple:
        text, number, bare = None, None, None
        if isinstance(cell, (int, float)) and not isinstance(cell, bool) and cell == cell and abs(cell) != float("inf"):
            number = Decimal(number_text(cell))
        elif isinstance(cell, str):
            text = cell.strip()
            key = unicodedata.normalize("NFKC", text).replace(" ", "")
            if key.endswith(PERCENT):
                key, factor = key[:-1], Decimal("0.01")
            elif key.endswith("‰"):
                key, factor = key[:-1], Decimal("0.001")
            if bracketed := _BRACKETED.fullmatch(key):
                key = "-" + bracketed.group(1)
            key = key.replace("−", "-")
            if _NUMBER.fullmatch(key):
                number = Decimal(key.replace(",", ""))
        if number is None:
            return None, Problem("GEN-TYPE", "应当是比率", "请填写数字或百分数，如 85.2%"), None
        if number < 0 and not field.signed:
            return None, Problem("GEN-NEG", "比率不能为负数", "请填写大于或等于 0 的数"), None
        bare, number = number, number * factor
        return number, None, _differs(text, bare, number)

    # Dates, booleans, codes, text

    def _date(self, cell: Any, field: Field) -> tuple:
        day, text, own_year = None, None, True
        if isinstance(cell, dt.datetime):
            day = cell.date()
        elif isinstance(cell, dt.date):
            day = cell
        elif isinstance(cell, (int, float)) and not isinstance(cell, bool):
            text = number_text(cell)
            if 20_000 <= cell < 73_051:
                day = dt.date(1899, 12, 30) + dt.timedelta(days=int(cell))
            else:
                day = full_date_in(text) if len(text) == 8 else None
        elif isinstance(cell, str):
            text = cell.strip()
            day, own_year = self._date_in(text)
        if day is None or not _FIRST_DAY <= day < _LAST_DAY:
            return None, Problem("GEN-TYPE", "不是有效的日期", "请填写实际存在的日期，如 2020-06-14"), None
        if field.past and not own_year and day > self.sunday:  # last year's, or a slip: nothing tells
            return None, Problem("GEN-TYPE", "没有写年份，按报送年份算在截至日期之后", "请写明年份，如 2020-06-14"), None
        return day, None, text if text is not None and text != day.isoformat() else None

    def _date_in(self, text: str) -> tuple[dt.date | None, bool]:
        """The day that a text names, and whether the year is its own; else it is the reporting year."""
        key = re.sub(r"[T\s]+\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?$", "", unicodedata.normalize("NFKC", text).strip())
        key = re.sub(r"\s+", "", key)
        if re.fullmatch(r"\d{4}[-./年]\d{1,2}[-./月]\d{1,2}[日号]?|\d{8}", key):
            return full_date_in(key), True
        if re.fullmatch(r"\d{5}(?:\.0)?", key):
            return dt.date(1899, 12, 30) + dt.timedelta(days=int(float(key))), True
        if (found := _MONTH_DAY.fullmatch(key)) and self.sunday:
            month, number = int(found.group(1)), int(found.group(2) or found.group(3))
            for year in dict.fromkeys((self.sunday.year, self.year)):  # the last week of a year may end in the next
                with contextlib.suppress(ValueError):
                    day = dt.date(year, month, number)
                    if day <= self.sunday or year == self.year:
                        return day, False
        return None, True

    def _yes_no(self, field: Field) -> dict[str, bool]:
        general = {squeeze(str(w)): answer for answer, words in self.recogniser.writing["yes_no"].items() for w in words}
        own = {squeeze(w): code.lower() == "true" for code, labels in field.values.items() for w in labels}
        return general | own

    def _boolean(self, cell: Any, field: Field) -> tuple:
        if isinstance(cell, bool):
            return cell, None, None
        text = plain(cell)
        answer = self._yes_no(field).get(squeeze(text))
        if answer is None:
            expected = "、".join(w for labels in field.values.values() for w in labels) or "是、否"
            return None, Problem("GEN-VALUE", "不在规定的选项之内", f"请填写：{expected}"), None
        return answer, None, text

    def _labels(self, field: Field) -> dict[str, str]:
        """Every text that means a code: label, label without its unit, the part behind a dash where that is unique."""
        exact: dict[str, str] = {}
        parts: dict[str, set[str]] = {}
        for code, labels in field.values.items():
            for label in labels:
                key = squeeze(label)
                exact[key] = code
                bare = re.sub(r"\([^()]*\)$", "", key)
                plain_label = re.sub("^其中[:,、]?", "", bare)
                for part in (bare, plain_label, key.rpartition("-")[2], bare.rpartition("-")[2], bare.replace("-", "")):
                    parts.setdefault(part, set()).add(code)
            parts.setdefault(squeeze(code), set()).add(code)
        return {part: next(iter(found)) for part, found in parts.items() if len(found) == 1 and part} | exact

    def _label(self, cell: Any, field: Field, labels: dict[str, str]) -> tuple:
        text = plain(cell)
        key = squeeze(text)
        code = labels.get(key) or labels.get(re.sub(r"\([^()]*\)$", "", key))
        if code is None:
            key = _ENUMERATION.sub("", key)
            code = labels.get(key) or labels.get(re.sub("^其中[:,、]?", "", key))
        if code is None:
            options = "、".join(names[0] for names in field.values.values())
            return None, Problem("GEN-VALUE", "不在规定的选项之内", f"请从下列各项中选填：{options}"), None
        return code, None, text if text != field.values[code][0] else None

    def _place(self, cell: Any, field: Field) -> tuple:
        text = plain(cell)
        kind = field.codes or ""
        find = self.codes.township if kind == "township" else self.codes.village
        code = find(text, self.county) or find(_ENUMERATION.sub("", squeeze(text)), self.county)
        if code:
            return code, None, text if text != self.codes.place_name(code) else None
        if self.county is None:
            return None, None, text  # the county itself is unknown: that is the fault to mend
        if self.codes.ambiguous(kind, text, self.county):
            return None, Problem("GEN-PLACE", "本县有几个同名的地方，无法判定", "请在前面写上乡镇名称"), None
        nearest = self.codes.nearest(kind, text, self.county)
        offer = f"，相近的规范名称有：{'、'.join(nearest)}" if nearest else ""
        what = "乡镇" if kind == "township" else "行政村（社区）"
        return None, Problem("GEN-PLACE", f"不是{self.codes.county_name(self.county)}的{what}名称", f"请填写规范名称{offer}"), None

    def _free_key(self, cell: Any) -> tuple:
        """A number that no list holds."""
        return self._no_record(cell) or _identifier(cell)

    def _name(self, cell: Any) -> tuple:
        """A name that no list holds: as it is written, brackets and all."""
        if (told := self._no_record(cell)) or not isinstance(cell, str):
            return told or _identifier(cell)
        text = cell.strip()
        name = FOOTNOTES.sub("", text).strip()
        return name, None, text if name != text else None

    def _no_record(self, cell: Any) -> tuple | None:
        """A line of averages or of last week's figures is no row of the form."""
        if (label := squeeze(plain(cell))) in self._summaries or _PART.match(label) or (len(label) <= 10 and label.startswith(self._summary_beginnings)):
            return None, Problem("GEN-VALUE", "是汇总、对比性质的行，不是一条记录", "请把此行移到表外，或在合计行填报"), None
        return None

    def _industry(self, cell: Any) -> tuple:
        text = plain(cell)
        code = self.codes.industry(text) or self.codes.industry(_ENUMERATION.sub("", squeeze(text)))
        if code is None:
            nearest = self.codes.nearest("industry", text, self.county)
            offer = f"，相近的名称有：{'、'.join(nearest)}" if nearest else ""
            return None, Problem("GEN-VALUE", "不在产业目录之内", f"请填写目录中的产业名称{offer}"), None
        return code, None, text if text != self.codes.industries[code] else None


def _is_number_like(field: Field) -> bool:
    """Text fields that hold numbers of a kind (serials, accounts): half-width, and no '.0' from a spreadsheet."""
    return field.name.endswith(("_no", "_number", "_tail"))


def _identifier(cell: Any) -> tuple:
    if isinstance(cell, str):
        text = cell.strip()
        value = text if text.isascii() else unicodedata.normalize("NFKC", FOOTNOTES.sub("", text)).strip()
        return value, None, text if value != text else None
    return plain(cell), None, None


def _plain_texts(cells: list[Any], blank: frozenset[str], ascii_only: bool) -> list[str | None] | None:
    """The column itself where every cell is a text that stands for itself or is empty, else None."""
    short: set[str] = set()
    for part in parts_of(cells):
        if set(map(type, part)) != {str} or list(map(str.strip, part)) != part or (ascii_only and not "".join(part).isascii()):
            return None
        if min(map(len, part)) <= 8:
            short.update(c for c in set(part) if len(c) <= 8)
    if any(says_nothing(c, blank) for c in short if c):
        return None
    return [c or None for c in cells] if "" in short else cells


def _free_text(cell: Any) -> tuple:
    return plain(cell), None, None


def _differs(text: str | None, bare: Decimal, value: Any) -> str | None:
    """The text, where it is more than the plain digits of the number as written."""
    return None if text is None or text == str(bare) or text == str(value) else text


def mask(text: str) -> str:
    """Personal data in a message: 510***********1234."""
    return text[:3] + "*" * (len(text) - 7) + text[-4:] if len(text) >= 10 else text[:1] + "*" * (len(text) - 1)
