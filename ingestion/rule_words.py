"""Rules said in words for the counties, and as Excel formulas for their templates.

Both come from the same expression in the contract, so that what a template marks, what a message says and
what the check does cannot part. Reading an expression never runs it: it is walked as a syntax tree.
"""

from __future__ import annotations

import ast
from collections.abc import Callable

from ingestion.contract_model import Form, Rule

COMPARISONS = {ast.LtE: "≤", ast.Lt: "＜", ast.GtE: "≥", ast.Gt: "＞", ast.Eq: "＝", ast.NotEq: "≠"}
OPERATORS = {ast.Add: "＋", ast.Sub: "－", ast.Mult: "×", ast.Div: "÷"}
EXCEL_COMPARISONS = {ast.LtE: "<=", ast.Lt: "<", ast.GtE: ">=", ast.Gt: ">", ast.Eq: "=", ast.NotEq: "<>"}
EXCEL_OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
NAMES = {
    "as_of_date": "截至日期",
    "reporting_year": "填报年度",
    "county_code": "本县",
    "subsidy_cap": "户均奖补上限",
    "spending_target": "序时支出进度",
}
CALLS = {"blank": "{}为空", "round2": "{}（四舍五入到分）", "year": "{}的年份", "county_of": "{}所在的县"}

# What to do about it, by the kind of check; the general rules have no expression and go by their ids
MEND_BY_CHECK = {
    "row": "核对本行各栏，使之符合：{words}。",
    "declared": "按公式重算后填写：{words}；或只填基础数，比率由系统计算。",
    "total": "核对各行数字，使合计（小计）等于各行之和；合计请用求和公式。",
    "sum_of_rows": "核对分项数字，使“{total}”等于其各分项之和。",
    "complete": "补齐缺少的行，每个{of}一行；确无数据的填 0 或“—”。",
    "unique_in_year": "同一{field}全年只能出现一次：删除重复行，或改正编号。",
    "id_number": "对照证件核对 18 位身份证号，以文本格式填写，不得截断。",
    "no_fall": "累计数不得小于上次已接收的数：改正本周数字；确需调减的，在“变化原因”栏写明原因。",
    "unchanged": "固定数与上次不同：改回原数，或在“变化原因”栏写明原因。",
    "stays": "状态较上次倒退：核对状态，确有变化的写明原因。",
    "still_listed": "上次在册的行本周缺少：补上该行，已完成的也要保留并更新状态。",
    "outlier": "与往周相比变动异常：请核实，确实无误的写明原因。",
    "balance": "核对：上周在册数＋本周新增－本周消除，应等于本周在册数。",
    "sql": "与其他报表核对后改正其中有误的一张，并重报。",
}
MEND_BY_RULE = {
    "GEN-REQ": "补填该格；确为零的填 0，不要留空或填“—”。",
    "GEN-TYPE": "按该栏要求的类型重填：人数、户数填整数，日期填如 2020-06-14。",
    "GEN-NEG": "数量和金额不能为负，核对后重填。",
    "GEN-VALUE": "从规定的选项中选填，不要自行改写。",
    "GEN-PLACE": "填写规范的乡镇（村）全称，参照提示的相近名称。",
    "GEN-KEY": "同一对象只能有一行：合并或删除重复行。",
    "GEN-RATE": "在栏目名中写明“（%）”，或在数字后加“%”。",
    "GEN-COLMISS": "恢复缺少的必填栏，栏目名按模板填写。",
    "GEN-COLUNK": "如系自加栏目可不改；如为规定栏目，请按模板改正栏目名。",
    "GEN-COUNTY": "填报单位写本县（市、区）规范全称。",
    "GEN-WEEK": "截至日期应为已结束一周的星期日，改正后重报。",
    "GEN-FORM": "表名与栏目请按模板填写；不是报表的工作表请删除或隐藏。",
    "GEN-NAME": "以表内内容为准；请核对文件名中的县名、周次。",
}


class Untranslatable(Exception):
    """An expression that Excel cannot judge (it needs figures that are not on the sheet)."""


def in_words(expression: str, form: Form) -> str:
    """A rule's expression with the form's official headings: ``已竣工 ≤ 已开工 ≤ 计划数``."""
    return _Words(form).say(ast.parse(expression, mode="eval").body)


def rule_in_words(rule: Rule, form: Form | None) -> str:
    """What a rule's definition asks for, as one line of Chinese; '' where the rule's own text says it all."""
    definition = rule.definition
    if form is None:
        return ""
    if rule.check == "declared":
        pairs = definition.get("pairs") or {definition["field"]: definition["expression"]}
        return "；".join(f"{_zh(form, name)} ＝ {in_words(e, form)}" for name, e in pairs.items())
    if "expression" in definition:
        return in_words(definition["expression"], form)
    if rule.check == "balance":
        level, change = in_words(definition["level"], form), in_words(definition["change"], form)
        return f"{level} ＝ 上周的（{level}） ＋ {change}"
    if rule.check == "sum_of_rows":
        labels = form.key.values
        parts = " ＋ ".join(labels[p][0] for p in definition["parts"])
        return f"{labels[definition['total']][0]} ＝ {parts}（{'、'.join(_zh(form, f) for f in definition['fields'])}）"
    if "fields" in definition:
        return "涉及栏目：" + "、".join(_zh(form, f) for f in definition["fields"])
    return ""


def how_to_mend(rule: Rule | None, form: Form | None) -> str:
    """One sentence that tells the county what to do; '' for a rule nobody knows."""
    if rule is None:
        return ""
    if rule.id in MEND_BY_RULE:
        return MEND_BY_RULE[rule.id]
    pattern = MEND_BY_CHECK.get(rule.check, "")
    if form is None or "{" not in pattern:
        return pattern
    definition = rule.definition
    total = form.key.values.get(definition.get("total", ""), ("合计",))[0]
    of = {"townships": "乡镇", "values": form.key.zh}.get(definition.get("of", ""), form.key.zh)
    words = rule_in_words(rule, form)
    return pattern.format(words=words, total=total, of=of, field=_zh(form, definition.get("field", form.key.name)))


def _zh(form: Form, name: str) -> str:
    field = form.by_name.get(name)
    return field.zh if field else NAMES.get(name, name)


class _Words:
    def __init__(self, form: Form):
        self.form = form

    def say(self, node: ast.expr, within: bool = False) -> str:
        match node:
            case ast.Compare():
                return self.comparison(node)
            case ast.BoolOp():
                word = " 且 " if isinstance(node.op, ast.And) else " 或 "
                return _bracket(word.join(self.say(v, True) for v in node.values), within)
            case ast.UnaryOp(op=ast.Not(), operand=ast.Call(func=ast.Name(id="blank"), args=[inner])):
                return f"{self.say(inner)}不为空"
            case ast.UnaryOp(op=ast.Not()):
                return f"并非（{self.say(node.operand)}）"
            case ast.BinOp():
                left, right = (self.say(n, isinstance(node.op, ast.Mult | ast.Div)) for n in (node.left, node.right))
                text = f"{left} {OPERATORS[type(node.op)]} {right}"
                return _bracket(text, within and isinstance(node.op, ast.Add | ast.Sub))
            case ast.IfExp():
                return f"（{self.say(node.test)}时，{self.say(node.body)}；否则，{self.say(node.orelse)}）"
            case ast.Call(func=ast.Name(id=name), args=[inner]):
                return CALLS.get(name, name + "（{}）").format(self.say(inner, name == "round2"))
            case ast.Name(id=name):
                field = self.form.by_name.get(name)
                return f"{field.zh}为“是”" if field and field.type == "boolean" else _zh(self.form, name)
            case ast.Constant(value=value):
                return "是" if value is True else "否" if value is False else str(value)
        return ast.unparse(node)

    def comparison(self, node: ast.Compare) -> str:
        field = self.form.by_name.get(node.left.id) if isinstance(node.left, ast.Name) else None
        if field and field.type == "boolean":
            return f"{field.zh} 应与（{self.say(node.comparators[0])}）一致"
        if field and (isinstance(node.comparators[0], ast.Tuple) or (isinstance(node.comparators[0], ast.Constant) and field.values)):
            values = [e.value for e in getattr(node.comparators[0], "elts", [node.comparators[0]])]
            labels = "”“".join(field.values.get(str(v), (str(v),))[0] for v in values)
            negative = isinstance(node.ops[0], ast.NotEq | ast.NotIn)
            return f"{field.zh}{'不是' if negative else '为'}“{labels}”"
        text = self.say(node.left)
        for operator, right in zip(node.ops, node.comparators, strict=True):
            percent = field is not None and field.type == "percent" and isinstance(right, ast.Constant)
            text += f" {COMPARISONS[type(operator)]} {f'{right.value:.0%}' if percent else self.say(right)}"
        return text


def _bracket(text: str, really: bool) -> str:
    return f"（{text}）" if really else text


def in_excel(expression: str, form: Form, cell: Callable[[str], str], as_of: str) -> str:
    """An expression as an Excel formula that is TRUE where the rule holds.

    ``cell(field)`` gives the field's cell in the row (``$C5``), ``as_of`` a formula for the as-of date. Percent
    fields stand on the sheet as 85.2 and are divided by 100 here. Raises Untranslatable.
    """
    return _Excel(form, cell, as_of).write(ast.parse(expression, mode="eval").body)


class _Excel:
    def __init__(self, form: Form, cell: Callable[[str], str], as_of: str):
        self.form, self.cell, self.as_of = form, cell, as_of

    def write(self, node: ast.expr) -> str:
        match node:
            case ast.Compare():
                sides = [node.left, *node.comparators]
                tests = [self.test(a, op, b) for a, op, b in zip(sides, node.ops, sides[1:], strict=False)]
                return tests[0] if len(tests) == 1 else f"AND({','.join(tests)})"
            case ast.BoolOp():
                name = "AND" if isinstance(node.op, ast.And) else "OR"
                return f"{name}({','.join(self.write(v) for v in node.values)})"
            case ast.UnaryOp(op=ast.Not()):
                return f"NOT({self.write(node.operand)})"
            case ast.BinOp():
                return f"({self.write(node.left)}{EXCEL_OPERATORS[type(node.op)]}{self.write(node.right)})"
            case ast.IfExp():
                return f"IF({self.write(node.test)},{self.write(node.body)},{self.write(node.orelse)})"
            case ast.Call(func=ast.Name(id="blank"), args=[ast.Name(id=name)]):
                return f'(TRIM({self.cell(name)})="")'
            case ast.Call(func=ast.Name(id="round2"), args=[inner]):
                return f"ROUND({self.write(inner)},2)"
            case ast.Call(func=ast.Name(id="year"), args=[inner]):
                return f"YEAR({self.write(inner)})"
            case ast.Name(id="as_of_date"):
                return self.as_of
            case ast.Name(id="reporting_year"):
                return f"YEAR({self.as_of})"
            case ast.Name(id=name) if name in self.form.by_name:
                return self.field(name)
            case ast.Constant(value=bool() as value):
                return "TRUE" if value else "FALSE"
            case ast.Constant(value=int() | float() as value):
                return str(value)
        raise Untranslatable(ast.unparse(node))

    def field(self, name: str) -> str:
        kind = self.form.by_name[name].type
        if kind == "percent":
            return f"({self.cell(name)}/100)"
        if kind == "boolean":
            return f'({self.cell(name)}="{self.form.by_name[name].values["true"][0]}")'
        return self.cell(name)

    def test(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> str:
        field = self.form.by_name.get(left.id) if isinstance(left, ast.Name) else None
        literal = isinstance(right, ast.Constant) and isinstance(right.value, str)
        if field and field.values and field.type != "boolean" and (literal or isinstance(right, ast.Tuple)):
            values = [e.value for e in getattr(right, "elts", [right])]
            same = ",".join(f'TRIM({self.cell(field.name)})="{field.values[v][0]}"' for v in values)
            negative = isinstance(operator, ast.NotEq | ast.NotIn)
            return f"NOT(OR({same}))" if negative else f"OR({same})"
        if type(operator) not in EXCEL_COMPARISONS:
            raise Untranslatable(ast.dump(operator))
        a, b = self.write(left), self.write(right)
        if isinstance(operator, ast.Eq) and not (field and field.type == "boolean"):
            return f"(ABS({a}-{b})<0.000001)"  # sums of decimals differ in the last bit
        return f"({a}{EXCEL_COMPARISONS[type(operator)]}{b})"


def fields_needed(expression: str, form: Form) -> list[str]:
    """The fields that must be filled before an expression can be judged: all but those asked about with blank()."""
    tree = ast.parse(expression, mode="eval")
    asked = {n.args[0].id for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "blank"}
    names = [n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id in form.by_name]
    return sorted({n for n in names if n not in asked})
