"""The rules' own small language: comparisons over a row's fields, in Python's syntax and with three truth values.

A contract says ``completed <= started <= planned``. The text is parsed with `ast`, everything but comparisons,
arithmetic, and/or/not, if-else and the functions below is refused, and it is compiled twice: into a fast loop over
the columns that picks the rows that may fail, and into an evaluation of one row that says what failed and how.
Unknown stays unknown: a comparison with a blank operand is neither true nor false, so it never fails.

Names: the form's fields, and `CONTEXT`. Functions: ``round2(x)`` (half up to two decimals), ``year(date)``,
``blank(field)``, ``county_of(village or township)``.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

CONTEXT = ("as_of_date", "reporting_year", "county_code", "subsidy_cap", "spending_target")
FUNCTIONS = ("round2", "year", "blank", "county_of")
SIGNS = {ast.LtE: "<=", ast.Lt: "<", ast.GtE: ">=", ast.Gt: ">", ast.Eq: "==", ast.NotEq: "!=", ast.In: "in", ast.NotIn: "not in"}
FLIPPED = {"<=": ">=", "<": ">", ">=": "<=", ">": "<", "==": "==", "!=": "!="}

MOST_PASSED = 10_000  # combinations of values that a rule remembers to have passed
_CENT = Decimal("0.01")
_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div)
_ALLOWED = (
    *(ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.BinOp, *_ARITHMETIC),
    *(ast.Compare, *SIGNS, ast.IfExp, ast.Call, ast.Name, ast.Load, ast.Constant, ast.Tuple),
)


class ExpressionError(ValueError):
    """A rule's text that cannot be used; says what in it is wrong."""


def round2(number: Decimal | int) -> Decimal:
    """Half up, to the fen; a number too long to have any (10^26 and more) stays as it is."""
    try:
        return Decimal(number).quantize(_CENT, ROUND_HALF_UP)
    except InvalidOperation:
        return Decimal(number)


@dataclass(frozen=True, slots=True)
class Failure:
    """One comparison, or one condition as a whole, that is false for a row."""

    node: ast.expr  # the comparison or condition
    left: ast.expr | None = None  # of a single comparison; None for a condition
    sign: str = ""
    right: ast.expr | None = None

    @property
    def field(self) -> str | None:
        """The left operand where it is a bare name."""
        return self.left.id if isinstance(self.left, ast.Name) else None


class Expression:
    """A rule's expression over given field names. Raises ExpressionError for anything outside the language."""

    def __init__(self, text: str, fields: Iterable[str]):
        self.text = text
        try:
            tree = ast.parse(text.strip(), mode="eval")
        except SyntaxError as error:
            raise ExpressionError(f"{text!r}: {error.msg}") from error
        self._check(tree, set(fields))
        self.root: ast.expr = _ExactNumbers().visit(tree).body
        self.fields = [n for n in self.names(self.root) if n not in CONTEXT]
        self.asked_for_blank = {
            n.args[0].id for n in ast.walk(self.root) if isinstance(n, ast.Call) and n.func.id == "blank"
        }

    def _check(self, tree: ast.AST, fields: set[str]) -> None:
        called = {id(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
        for node in ast.walk(tree):
            what = type(node).__name__
            if not isinstance(node, _ALLOWED):
                raise ExpressionError(f"{self.text!r}: {what} is not allowed")
            if isinstance(node, ast.Call):
                if not (isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS) or len(node.args) != 1 or node.keywords:
                    raise ExpressionError(f"{self.text!r}: only {', '.join(FUNCTIONS)} of one operand may be called")
                if node.func.id == "blank" and not (isinstance(node.args[0], ast.Name) and node.args[0].id in fields):
                    raise ExpressionError(f"{self.text!r}: blank() takes a field")
            elif isinstance(node, ast.Name) and id(node) not in called and node.id not in fields and node.id not in CONTEXT:
                raise ExpressionError(f"{self.text!r}: no field {node.id}")
            elif isinstance(node, ast.Constant) and not isinstance(node.value, (bool, int, float, str)):
                raise ExpressionError(f"{self.text!r}: constant {node.value!r} is not allowed")

    @staticmethod
    @functools.cache  # a message asks again for every failing row
    def names(node: ast.AST) -> tuple[str, ...]:
        """Fields and context names in a part of an expression, each once, in the order of writing."""
        called = {id(n.func) for n in ast.walk(node) if isinstance(n, ast.Call)}
        found = [n for n in ast.walk(node) if isinstance(n, ast.Name) and id(n) not in called]
        return tuple(dict.fromkeys(n.id for n in sorted(found, key=lambda n: (n.lineno, n.col_offset))))

    # One row

    def value(self, row: Mapping[str, Any], county_of: Callable[[str], str | None] | None = None) -> Any:
        """The expression's value for a row (fields and context by name); None where it is unknown."""
        return evaluate(self.root, row, county_of)

    def failures(self, row: Mapping[str, Any], county_of: Callable[[str], str | None] | None = None) -> list[Failure]:
        """What is false for a row. Each part of a chain and of an ``and`` is judged on its own."""
        found = []
        for part in self.parts():
            if evaluate(part.node, row, county_of) is False:
                found.append(part)
        return found

    @functools.cache  # noqa: B019 - expressions live as long as the contracts
    def parts(self) -> list[Failure]:
        """The comparisons and conditions that must each hold."""
        conditions = self.root.values if isinstance(self.root, ast.BoolOp) and isinstance(self.root.op, ast.And) else [self.root]
        found = []
        for condition in conditions:
            if isinstance(condition, ast.Compare):
                operands = [condition.left, *condition.comparators]
                for left, op, right in zip(operands, condition.ops, operands[1:], strict=False):
                    found.append(Failure(ast.Compare(left, [op], [right]), left, SIGNS[type(op)], right))
            else:
                found.append(Failure(condition))
        return found

    # Many rows

    def suspects(
        self,
        columns: Mapping[str, Sequence[Any]],
        context: Mapping[str, Any],
        county_of: Callable[[str], str | None] | None = None,
    ) -> list[int]:
        """0-based numbers of the rows that are not plainly right: what fails, and what has a blank operand.

        Plain Python truth is enough to pass a row: a condition that is true whatever an unknown part would be
        is true, and one that Python calls true is never false in three values.
        """
        if not self.fields:
            return []
        return self._loop([columns[f] for f in self.fields], context, county_of)

    @functools.cached_property
    def _loop(self) -> Callable:
        constants: dict[str, Any] = {}
        condition = ast.unparse(ast.fix_missing_locations(_ToPython(constants).visit(ast.parse(ast.unparse(self.root), mode="eval"))))
        source = "\n".join([
            "def loop(columns, context, _county_of):",
            *(f"    _c_{name} = context[{name!r}]" for name in CONTEXT),
            "    found = []",
            "    passed = set()",
            f"    for _row, ({' '.join(f'_f_{f},' for f in self.fields)}) in enumerate(zip(*columns)):",
            # the same few values come again and again, and as the same objects: a column's texts are converted once each
            f"        _seen = ({' '.join(f'id(_f_{f}),' for f in self.fields)})",
            "        if _seen in passed:",
            "            continue",
            "        try:",
            f"            if {condition}:",
            "                if len(passed) < _most:",
            "                    passed.add(_seen)",
            "                continue",
            "        except (TypeError, AttributeError):",  # an operand is blank
            "            pass",
            "        found.append(_row)",
            "    return found",
        ])  # fmt: skip
        space = {"_round2": round2, "_divide": divide, "_most": MOST_PASSED, **constants}
        exec(compile(source, f"<rule {self.text}>", "exec"), space)
        return space["loop"]


@functools.cache
def expression(text: str, fields: tuple[str, ...]) -> Expression:
    """Each expression once a process."""
    return Expression(text, fields)


def divide(left: Any, right: Any) -> Decimal | None:
    """Exact division; None where the base is missing or zero."""
    return None if left is None or not right else Decimal(left) / Decimal(right)


def evaluate(node: ast.expr, row: Mapping[str, Any], county_of: Callable | None = None) -> Any:
    """Value of a node for a row, None for unknown (Kleene's logic)."""
    value = functools.partial(evaluate, row=row, county_of=county_of)
    match node:
        case ast.Constant():
            return node.value
        case ast.Name():
            return row.get(node.id)
        case ast.Tuple():
            return [value(e) for e in node.elts]
        case ast.BoolOp():
            decisive = isinstance(node.op, ast.Or)
            truths = [value(v) for v in node.values]
            if any(t is not None and bool(t) is decisive for t in truths):
                return decisive
            return None if None in truths else not decisive
        case ast.UnaryOp():
            operand = value(node.operand)
            if operand is None:
                return None
            return not operand if isinstance(node.op, ast.Not) else -operand
        case ast.IfExp():
            test = value(node.test)
            return None if test is None else value(node.body if test else node.orelse)
        case ast.BinOp():
            return _arithmetic(type(node.op), value(node.left), value(node.right))
        case ast.Compare():
            operands = [value(o) for o in (node.left, *node.comparators)]
            truths = [_compare(type(op), a, b) for op, a, b in zip(node.ops, operands, operands[1:], strict=False)]
            return False if False in truths else None if None in truths else True
        case ast.Call():
            return _call(node.func.id, value(node.args[0]), county_of)
    raise ExpressionError(f"{type(node).__name__} is not allowed")


def _arithmetic(op: type, left: Any, right: Any) -> Any:
    if left is None or right is None:
        return None
    if op is ast.Div:
        return divide(left, right)
    return left + right if op is ast.Add else left - right if op is ast.Sub else left * right


def _compare(op: type, left: Any, right: Any) -> bool | None:
    if left is None or right is None:
        return None
    match SIGNS[op]:
        case "<=":
            return left <= right
        case "<":
            return left < right
        case ">=":
            return left >= right
        case ">":
            return left > right
        case "==":
            return left == right
        case "!=":
            return left != right
        case "in":
            return left in right
    return left not in right


def _call(name: str, operand: Any, county_of: Callable | None) -> Any:
    if name == "blank":
        return operand is None
    if operand is None:
        return None
    if name == "round2":
        return round2(operand)
    if name == "year":
        return operand.year
    return county_of(operand) if county_of else None


class _ExactNumbers(ast.NodeTransformer):
    """0.05 in a contract means 0.05, not the nearest binary fraction."""

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        return ast.Constant(Decimal(repr(node.value))) if isinstance(node.value, float) else node


class _ToPython(ast.NodeTransformer):
    """Names that cannot meet each other, and functions written out where that is faster."""

    def __init__(self, constants: dict[str, Any]):
        self.constants = constants

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(("_c_" if node.id in CONTEXT else "_f_") + node.id, node.ctx)

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        return ast.Call(ast.Name("_divide", ast.Load()), [node.left, node.right], []) if isinstance(node.op, ast.Div) else node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        # the tree was written out and parsed again, so that an exact number stands there as Decimal('0.05')
        if node.func.id == "Decimal":
            name = f"_k_{len(self.constants)}"
            self.constants[name] = Decimal(node.args[0].value)
            return ast.Name(name, ast.Load())
        operand = self.visit(node.args[0])
        if node.func.id == "blank":
            return ast.Compare(operand, [ast.Is()], [ast.Constant(None)])
        if node.func.id == "year":
            return ast.Attribute(operand, "year", ast.Load())
        return ast.Call(ast.Name("_" + node.func.id, ast.Load()), [operand], [])
