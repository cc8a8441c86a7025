"""`warehouse trace`, `revisions`, `publications`, `verify`: what an auditor asks, in words."""

from __future__ import annotations

from typing import Any

import psycopg

from warehouse.settings import Settings

SHOWN_CELLS = 40
STATUS_ZH = {
    "pass": "通过", "fail": "不通过", "pass_with_violations": "有提示", "not_applicable": "不适用", "not_evaluable": "无法检查", "error": "执行出错", None: "未检查",
}  # fmt: skip
KIND_ZH = {
    "cell": "原表单元格", "carried": "沿用", "rate": "比率", "ratio": "合计之比", "formula": "计算", "increment": "本周新增", "sum": "合计",
    "listed": "所列周次", "frame": "表头", "missing": "当时未列",
}  # fmt: skip
TRIGGER_ZH = {"weekly": "周发布", "correction": "更正", "backfill": "补录", "withdrawal": "撤回"}
REVISION_ZH = {"revised": "修改", "added": "新增", "removed": "删除"}


def describe(found: dict[str, Any]) -> str:
    """A trace (`Trace.as_json`) for a person."""
    about, where = found["publication"], [found["week"], found["county_code"], found["key"]]
    lines = [
        f"数据    {found['value']}",
        f"位置    {found['mart']}.{found['column']}（{' / '.join(w for w in where if w)}）",
        f"含义    {found['description']}",
        f"发布    第{about['number']}次，{about['published_at']}，{TRIGGER_ZH[about['trigger']]}，发布周 {about['week']}，批准人 {about['approved_by']}",
        f"模型    {found['model']['path']}：{found['model']['formula']}",
        "来源",
    ]
    shown = [0]
    _tree(found["inputs"], 1, lines, shown)
    hidden = len(found["sources"]) - shown[0]
    if hidden > 0:
        lines.append(f"  … 另有{hidden}个单元格，全部内容见 --json")
    files = {s["sha256"]: s for s in found["sources"]}
    lines.append("文件")
    lines += [
        f"  {s['file']}  收到 {s['received_at']}  报送人 {s['sender'] or '未记录'}  SHA-256 {s['sha256']}" for s in list(files.values())[:SHOWN_CELLS]
    ]
    lines += _rules(found["rules"])
    return "\n".join(lines)


def _tree(node: dict[str, Any], depth: int, lines: list[str], shown: list[int]) -> None:
    if shown[0] >= SHOWN_CELLS:
        return
    indent, source = "  " * depth, node.get("source")
    place = f"[{node['county_code'] or '全市'} {node['week'] or ''} {node['key'] or ''}]"
    formula = f"  = {node['formula']}" if node.get("formula") else ""
    lines.append(f"{indent}{KIND_ZH[node['kind']]} {node['column']} = {node['value']} {place}{formula}")
    if source:
        shown[0] += 1
        cell = " ".join(filter(None, (source["member"], f"“{source['sheet']}”" if source["sheet"] else "", source["cell"])))
        factor = f"，乘以 {source['factor']}" if source["factor"] != "1" else ""
        lines.append(f"{indent}  {source['file']} {cell} 原文“{source['text'] if source['text'] is not None else '（原件已不在）'}”{factor}")
    for part in node.get("inputs", ()):
        _tree(part, depth + 1, lines, shown)


def _rules(rules: list[dict[str, Any]]) -> list[str]:
    lines, passed = ["规则"], 0
    for rule in rules:
        if rule["status"] in ("pass", "not_applicable") and not rule["findings"]:
            passed += rule["status"] == "pass"
            continue
        note = f"：{rule['note_zh']}" if rule["note_zh"] else ""
        lines.append(f"  {rule['rule_id']} {rule['text_zh']}（{rule['week']} {rule['county_code']}）{STATUS_ZH[rule['status']]}{note}")
        lines += [f"    {f['cell']} {f['message_zh']}" for f in rule["findings"]]
    return [*lines, f"  另有{passed}项检查通过"] if passed else lines


# ---------------------------------------------------------------- the ledger


def publications(connection: psycopg.Connection) -> list[dict[str, Any]]:
    """The ledger, newest first, with the number of revised figures."""
    with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        return cursor.execute(
            """select p.publication_id as number, p.published_at, p.week, p.trigger, p.approved_by, p.note, p.restores, p.rows_opened, p.rows_closed,
                      p.check_run_id, p.code_version, p.dbt_invocation_id, p.hash,
                      (select count(*) from store.revision r where r.publication_id = p.publication_id) as revisions
               from store.publication p order by p.publication_id desc"""
        ).fetchall()


def describe_publications(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "尚无发布。"
    lines = []
    for p in rows:
        note = f"，{p['note']}" if p["note"] else ""
        restores = f"，恢复到第{p['restores']}次" if p["restores"] else ""
        lines.append(
            f"第{p['number']}次  {p['published_at']:%Y-%m-%d %H:%M}  {p['week']}  {TRIGGER_ZH[p['trigger']]}{restores}  批准人 {p['approved_by']}"
            f"  新增{p['rows_opened']}行 关闭{p['rows_closed']}行 修订{p['revisions']}处{note}"
        )
    return "\n".join(lines)


def describe_revisions(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "本次发布没有改动以前各周的数据。"
    return "\n".join(
        f"{r['mart']}.{r['column_name']} {r['county_code']} {r['week']} {r['row_key']}：{REVISION_ZH[r['kind']]} "
        f"{'空' if r['old_value'] is None else r['old_value']} → {'空' if r['new_value'] is None else r['new_value']}（报表 {r['submission_id']}）"
        + (f"；变化原因：{r['change_reason']}" if r["change_reason"] else "")
        for r in rows
    )


def verify(connection: psycopg.Connection, settings: Settings) -> list[str]:
    """What does not agree: the ledger's chain with its rows, and every archived original with its SHA-256. Empty: nothing was altered."""
    from ingestion.retention import expected_hashes
    from warehouse import originals
    from warehouse.publication import verify as of_ledger
    from warehouse.publication.witness import noted

    faults, erased = of_ledger(connection, noted(settings)), expected_hashes(connection)
    for sha256, name in connection.execute("select sha256, min(original_path) from intake.file group by sha256 order by min(file_id)").fetchall():
        try:
            if originals.digest(settings, sha256) != erased.get(sha256, sha256):  # personal data erased on request is on record
                faults.append(f"The original of {name} ({sha256[:12]}…) was altered in the archive.")
        except originals.Altered:
            faults.append(f"The original of {name} ({sha256[:12]}…) was altered in the archive.")
        except FileNotFoundError:
            faults.append(f"The original of {name} ({sha256[:12]}…) is missing from the archive.")
        except OSError as error:
            faults.append(f"The original of {name} ({sha256[:12]}…) cannot be read: {error.strerror}.")
    return faults
