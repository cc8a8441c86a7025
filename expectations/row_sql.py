"""A row rule's expression as SQL over its mart, so that the candidates can be held against the same text.

Blank operands behave alike: a comparison with NULL is unknown in SQL as in the rules, and unknown never fails.
"""

from __future__ import annotations

import ast

from expectations.marts import Mart
from ingestion.contract_model import Form

COMPARISONS = {ast.LtE: "<=", ast.Lt: "<", ast.GtE: ">=", ast.Gt: ">", ast.Eq: "=", ast.NotEq: "<>"}
OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
# The dated reference data that the rules name, for the row `b`; the county's own entry comes before everybody's
CONTEXT = {
    "as_of_date": "b.as_of_date",
    "county_code": "b.county_code",
    "reporting_year": "left(b.week, 4)::integer",
    "subsidy_cap": "(select c.cap_per_household_yuan from reference.subsidy_caps c where c.county_code in (b.county_code, '*') "
    "and b.as_of_date between c.valid_from and coalesce(c.valid_to, 'infinity') order by c.county_code = '*' limit 1)",
    "spending_target": "(select t.target_rate from reference.spending_targets t where t.month_end <= b.as_of_date order by t.month_end desc limit 1)",
}

# Made once a query, not once a row: the reference tables have no index
COUNTY_OF_VILLAGE = "(select jsonb_object_agg(v.village_code, v.county_code) from reference.villages v)"
COUNTY_OF_TOWNSHIP = "(select jsonb_object_agg(t.township_code, t.county_code) from reference.townships t)"


class Untranslatable(Exception):
    """An expression over something the mart does not have; the text says what."""


def row_sql(expression: str, form: Form, mart: Mart) -> str:
    """A boolean SQL expression over the mart's rows as ``b``. Raises Untranslatable."""
    return _Writer(form, mart).write(ast.parse(expression, mode="eval").body)


class _Writer:
    def __init__(self, form: Form, mart: Mart):
        self.form, self.mart = form, mart

    def write(self, node: ast.expr) -> str:
        match node:
            case ast.BoolOp():
                word = " and " if isinstance(node.op, ast.And) else " or "
                return "(" + word.join(self.write(v) for v in node.values) + ")"
            case ast.UnaryOp(op=ast.Not()):
                return f"(not {self.write(node.operand)})"
            case ast.UnaryOp(op=ast.USub()):
                return f"(-{self.write(node.operand)})"
            case ast.BinOp(op=ast.Div()):
                return f"({self.write(node.left)}::numeric / nullif({self.write(node.right)}, 0))"
            case ast.BinOp():
                return f"({self.write(node.left)} {OPERATORS[type(node.op)]} {self.write(node.right)})"
            case ast.IfExp():
                test, yes, no = (self.write(n) for n in (node.test, node.body, node.orelse))
                return f"(case when {test} then {yes} when not {test} then {no} end)"
            case ast.Compare():
                sides = [node.left, *node.comparators]
                tests = [self.compare(a, op, b) for a, op, b in zip(sides, node.ops, sides[1:], strict=False)]
                return "(" + " and ".join(tests) + ")"
            case ast.Call(func=ast.Name(id=name), args=[operand]):
                return self.call(name, operand)
            case ast.Name(id=name) if name in CONTEXT:
                return CONTEXT[name]
            case ast.Name(id=name):
                return self.column(name)
            case ast.Constant(value=bool() as value):
                return str(value).lower()
            case ast.Constant(value=str() as value):
                return "'" + value.replace("'", "''") + "'"
            case ast.Constant(value=value):
                return str(value)
        raise Untranslatable(ast.unparse(node))

    def compare(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> str:
        if isinstance(operator, ast.In | ast.NotIn) and isinstance(right, ast.Tuple):
            values = ", ".join(self.write(e) for e in right.elts)
            return f"{self.write(left)} {'not in' if isinstance(operator, ast.NotIn) else 'in'} ({values})"
        if type(operator) not in COMPARISONS:
            raise Untranslatable(ast.dump(operator))
        return f"{self.write(left)} {COMPARISONS[type(operator)]} {self.write(right)}"

    def call(self, name: str, operand: ast.expr) -> str:
        inner = self.write(operand)
        match name:
            case "blank":
                return f"({inner} is null)"
            case "round2":
                return f"round(({inner})::numeric, 2)"
            case "year":
                return f"extract(year from {inner})::integer"
            case "county_of":
                return f"coalesce({COUNTY_OF_VILLAGE} ->> {inner}, {COUNTY_OF_TOWNSHIP} ->> {inner})"
        raise Untranslatable(f"{name}()")

    def column(self, name: str) -> str:
        field = self.form.by_name.get(name)
        column = self.mart.column(field) if field else None
        if column is None:
            raise Untranslatable(f"{self.mart.name} has no column for {name}")
        return f"b.{column}"
