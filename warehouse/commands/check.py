"""`warehouse check FILE`: what a file would be told, without a database."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warehouse.settings import WarehouseError

if TYPE_CHECKING:  # imported when it is asked for: the command line starts without a reader
    from ingestion.contract_model import Contracts
    from ingestion.model import FormReading


def check(path: Path, received_at: dt.datetime, folder: Path | None = None) -> dict[str, Any]:
    """Read one file and list its forms and findings. Cross-week and cross-form rules need the database and are left out.

    ``folder``: contracts to read by instead of the project's own; ``totals`` then allow a comparison with the table.
    """
    from ingestion.contracts import contracts, load_contracts
    from ingestion.reading import read_file

    if not path.is_file():
        raise WarehouseError(f"There is no file {path}.")
    known = load_contracts(folder) if folder else contracts()
    reading = read_file(path, received_at=received_at, contracts=known)
    findings = [*reading.findings, *(finding for form in reading.forms for finding in form.findings)]
    return {
        "file": reading.name,
        "refusal_zh": reading.refusal_zh,
        "forms": [
            {"form": f.form, "county": f.county_text, "week": f.week, "rows": f.rows, "acceptable": f.acceptable, "sheet": f.sheet, "totals": _totals(f, known)} for f in reading.forms
        ],
        "notes_zh": [f"{form.code}：{note}" for form in {f.form: known.form(f.form, f.as_of_date) for f in reading.forms}.values() for note in form.notes],
        "findings": [
            {
                "rule_id": f.rule_id, "severity": f.severity, "member": f.member, "sheet": f.sheet, "cell": f.cell, "message_zh": f.message_zh,
                "value": f.value, "expected": f.expected,
            }
            for f in findings
        ],
    }


def _totals(reading: FormReading, known: Contracts) -> dict[str, str]:
    """Sum of each column of figures that add up, in the contract's unit, by its heading."""
    form = known.form(reading.form, reading.as_of_date)
    sums = {}
    for field in form.fields:
        present = [v for v in reading.values.get(field.name, []) if v is not None]
        if field.numeric and field.kind in ("stock", "cumulative", "constant", "flow") and field.type != "percent" and present:
            unit = {"yuan": "元", "persons": "人", "households": "户"}.get(field.unit or "", field.unit or "")
            sums[field.zh] = f"{Decimal(sum(present)).normalize():f}{unit}"
    return sums


def has_errors(result: dict[str, Any]) -> bool:
    return result["refusal_zh"] is not None or any(f["severity"] == "error" for f in result["findings"])


def describe(result: dict[str, Any]) -> str:
    """In Chinese, as a county reads it: every finding with its place."""
    lines = [f"文件：{result['file']}"]
    if result["refusal_zh"]:
        return "\n".join([*lines, f"无法读取：{result['refusal_zh']}"])
    for form in result["forms"]:
        verdict = "可接收" if form["acceptable"] else "退回"
        lines.append(f"  {form['form']}  {form['county'] or '未识别县区'}  {form['week'] or '未识别周次'}  {form['rows']} 行  {verdict}")
        if form["totals"] and form["acceptable"]:
            lines.append("    各栏合计：" + "，".join(f"{zh} {total}" for zh, total in form["totals"].items()))
    lines += [f"说明 {note}" for note in result["notes_zh"]]
    for finding in result["findings"]:
        place = "/".join(filter(None, [finding["member"], finding["sheet"]])) + (f"!{finding['cell']}" if finding["cell"] else "")
        kind = "错误" if finding["severity"] == "error" else "警告"
        lines.append(f"{kind} {finding['rule_id']} {place} {finding['message_zh']}".replace("  ", " "))
    errors = sum(f["severity"] == "error" for f in result["findings"])
    lines.append(f"共 {errors} 处错误，{len(result['findings']) - errors} 处警告。")
    return "\n".join(lines)
