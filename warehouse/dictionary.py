"""The data dictionary, written from the contracts and ``dbt_project/marts.yaml``: ``python -m warehouse.dictionary``.

A test fails when docs/dictionary.md is not what this module would write.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ingestion.contract_model import Contracts, Field, Form, Rule
from ingestion.contracts import FOLDER, load_contracts
from ingestion.rule_words import rule_in_words
from warehouse.dbt_sources import accumulating, column_name, has_mart, key_columns, mart_of_form, marts
from warehouse.settings import REPOSITORY

PAGE = REPOSITORY / "docs" / "dictionary.md"
KINDS = {
    "key": "主键 key", "attribute": "属性 attribute", "stock": "时点数 level", "cumulative": "年内累计 running total", "constant": "年内固定 fixed for the year",
    "flow": "本周发生 of the week", "declared": "自报比率 declared rate",
}  # fmt: skip
TYPES = {
    "text": "文字 text", "code": "代码 code", "integer": "整数 integer", "decimal": "小数 decimal", "date": "日期 date", "percent": "比率 fraction", "boolean": "是否 boolean",
}  # fmt: skip
LISTS = {"township": "乡镇代码", "village": "行政村代码", "industry": "产业目录", "identifier": "编号"}
SEVERITY = {"error": "错误（退回） error", "warning": "提示 warning"}
LISTING = {"level": "每周列出全部 everything, every week", "events": "只列本周新增 the week's new ones"}


def page(of: Contracts) -> str:
    """The whole dictionary as Markdown."""
    return "\n".join(_lines(of)) + "\n"


def _lines(of: Contracts) -> Iterator[str]:
    yield "# 数据字典 · Data dictionary"
    yield ""
    yield "<!-- written from the contracts and dbt_project/marts.yaml by `python -m warehouse.dictionary`; do not edit -->"
    yield ""
    yield "金额入库一律为元，比率一律为小数（0.852＝85.2%），地名和选项一律为代码。Money is in yuan, rates are fractions, places and choices are codes."
    yield ""
    yield from _table(("报表 Form", "名称 Name", "版本 Version", "集市 Mart", "字段 Fields", "规则 Rules"), (_summary(of.form(c)) for c in of.codes))
    for code in of.codes:
        yield from _form(of, of.form(code))
    yield from ("", "## 通用规则 · General rules", "")
    yield from _table(("编号 Id", "级别 Severity", "内容 Text", "Meaning"), ((r.id, SEVERITY[r.severity], r.zh, r.en) for r in of.general_rules))


def _summary(form: Form) -> tuple[str, ...]:
    mart = f"`{mart_of_form(form.code)}`" if has_mart(form.code) else "—"
    return f"[{form.code}](#{form.code.lower()})", f"{form.zh} {form.en}", form.version, mart, str(len(form.fields)), str(len(form.rules))


def _form(of: Contracts, form: Form) -> Iterator[str]:
    yield from ("", f"## {form.code}", "", f"**{form.zh}** · {form.en}", "")
    versions = sorted((f for f in of.forms if f.code == form.code), key=lambda f: f.valid_from)
    yield "- 版本 versions: " + "；".join(f"{f.version}（{f.valid_from} 至 {f.valid_to or '今'}）" for f in versions)
    yield f"- 列报方式 listing: {LISTING[form.listing]}; 由谁报送 owed by: {form.expected_from}"
    yield f"- 原始表 raw table: `{form.raw_table}`; 清洗 staging: `staging.stg_{form.code.lower()}__rows`"
    if has_mart(form.code):
        once = " (one row a key over all weeks)" if accumulating(form.code) else ""
        yield f"- 集市 mart: `marts.{mart_of_form(form.code)}`, 一行为 one row per {' × '.join(key_columns(of, form.code))}{once}"
    else:
        yield "- 集市 mart: 尚无 none yet; 已装载、已检查，暂不发布 loaded and checked, not published"
    yield ""
    columns = {f.name: (version, f) for version in versions for f in version.fields}
    yield from _table(("字段 Field", "列名 Heading", "别名 Aliases", "类型 Type", "性质 Kind", "单位 Unit", "必填 Required", "取值与说明 Values"), (_field(f, v, versions) for v, f in columns.values()))
    if has_mart(form.code) and (derived := marts()["facts"][form.code].get("derived")):
        yield from ("", "本库计算的列 Columns computed here:", "")
        yield from _table(("列 Column", "类型 Type", "名称 Name", "Meaning"), ((f"`{name}`", kind, zh, en) for name, kind, zh, en in derived))
    if form.rules:
        yield ""
        yield from _table(("规则 Rule", "级别 Severity", "内容 Text", "条件 Condition", "Meaning"), (_rule(r, form) for r in form.rules))
    for note in form.notes:
        yield f"- {note}"


def _field(field: Field, version: Form, versions: list[Form]) -> tuple[str, ...]:
    values = "；".join(f"{code} {labels[0]}" for code, labels in field.values.items()) or LISTS.get(field.codes or "", "")
    told = [values] if values else []
    if field.personal:
        told.append("个人信息，不出原始层 personal, stays in raw" + (f"；以假名 `{column_name(field)}` 入集市" if column_name(field) else ""))
    elif field.pseudonymised:
        told.append("以假名入集市 leaves raw as a pseudonym")
    if field.unit_by_row:
        told.append("单位随行而定 unit depends on the row")
    if len(versions) > 1 and not all(field.name in v.by_name for v in versions):
        told.append(f"版本 {'、'.join(v.version for v in versions if field.name in v.by_name)}")
    return (
        f"`{field.name}`", field.zh, "、".join(field.aliases), TYPES[field.type], KINDS[field.kind], field.unit or "",
        "是 yes" if field.required else "", "。".join(told),
    )  # fmt: skip


def _rule(rule: Rule, form: Form) -> tuple[str, ...]:
    return rule.id, SEVERITY[rule.severity], rule.zh, rule_in_words(rule, form), rule.en


def _table(heading: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield "| " + " | ".join(heading) + " |"
    yield "|" + "---|" * len(heading)
    for row in rows:
        yield "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in row) + " |"


def write(path: Path = PAGE) -> bool:
    """Write the page if it differs; returns whether it did. The project's own contracts only."""
    text = page(load_contracts(FOLDER))
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    path.write_text(text, encoding="utf-8")
    return True


if __name__ == "__main__":
    if write():
        print(PAGE.relative_to(REPOSITORY))
