"""The command line: what a person sees, and what a machine can rely on."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from warehouse import cycle
from warehouse.cli import main
from warehouse.commands import status
from warehouse.progress import Progress
from warehouse.settings import Settings, WarehouseError


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("WAREHOUSE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("WAREHOUSE_URL", raising=False)
    return tmp_path / "home"


@pytest.mark.parametrize("name", sorted(set(main.commands) - {"run"}))
def test_every_command_explains_itself_with_an_example_and_speaks_json(name):
    answer = CliRunner().invoke(main, [name, "--help"])
    assert answer.exit_code == 0
    assert "Example" in answer.output and f"warehouse {name}" in answer.output
    assert name in ("psql", "airflow") or "--json" in answer.output


def test_a_fault_that_can_be_mended_is_one_sentence_and_code_2(home):
    answer = CliRunner().invoke(main, ["url"])
    assert answer.exit_code == 2
    assert answer.stdout == ""
    assert answer.stderr.startswith("warehouse: ") and "warehouse up" in answer.stderr
    assert "Traceback" not in answer.stderr and len(answer.stderr.splitlines()) == 1


def test_an_external_server_is_never_stopped(home, monkeypatch):
    monkeypatch.setenv("WAREHOUSE_URL", "postgresql://somebody@db.example:5432/w")
    answer = CliRunner().invoke(main, ["down"])
    assert answer.exit_code == 2 and "not stopped" in answer.stderr


def test_url_answers_without_heavy_modules(home):
    code = (
        "import sys; from warehouse.cli import main\n"
        "try: main(['url'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'airflow', 'dbt', 'great_expectations', 'pandas', 'rich', 'openpyxl'} & set(sys.modules)))"
    )
    environment = os.environ | {"WAREHOUSE_URL": "postgresql://reader:secret@127.0.0.1:5999/w"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["postgresql://reader:secret@127.0.0.1:5999/w", "[]"]


def test_check_lists_faults_with_sheet_and_cell_in_chinese_and_exits_1(home, tmp_path):
    empty = tmp_path / "周报.xlsx"
    empty.write_bytes(b"")
    answer = CliRunner().invoke(main, ["check", str(empty), "--json"])
    assert answer.exit_code == 1
    told = json.loads(answer.stdout)
    assert told["refusal_zh"] and told["forms"] == []
    assert not home.exists() or not (home / "postgres").exists()  # no database was needed
    assert "无法读取" in CliRunner().invoke(main, ["check", str(empty)]).stdout


def test_a_missing_file_is_no_crash(home, tmp_path):
    answer = CliRunner().invoke(main, ["check", str(tmp_path / "none.xlsx")])
    assert answer.exit_code == 2 and "none.xlsx" in answer.stderr


def test_times_without_an_offset_are_the_citys(tmp_path):
    settings = Settings.from_environment()
    assert cycle.parse_time("2020-06-16T12:00", settings) == dt.datetime(2020, 6, 16, 4, 0, tzinfo=dt.UTC)
    assert cycle.parse_time("2020-06-16T12:00+00:00", settings) == dt.datetime(2020, 6, 16, 12, 0, tzinfo=dt.UTC)
    with pytest.raises(WarehouseError, match="next Tuesday"):
        cycle.parse_time("next Tuesday", settings)


def test_the_clock_of_a_manifest_is_its_last_arrival_whatever_the_order(tmp_path):
    manifest = tmp_path / "arrivals.csv"
    manifest.write_text(
        "path,received_at\na.xlsx,2020-06-16T11:00:00+08:00\nb.xlsx,2020-06-18T09:30:00+08:00\nc.xlsx,2020-06-15T08:00:00+08:00\n", encoding="utf-8"
    )
    assert cycle.last_arrival(manifest, Settings.from_environment()) == dt.datetime(2020, 6, 18, 1, 30, tzinfo=dt.UTC)
    manifest.write_text("path,received_at\n", encoding="utf-8")
    with pytest.raises(WarehouseError, match="lists no file"):
        cycle.last_arrival(manifest, Settings.from_environment())


def test_a_full_disk_is_said_before_anything_starts(home, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 2**30})())
    answer = CliRunner().invoke(main, ["cycle"])
    assert answer.exit_code == 2 and "1.0 GB" in answer.stderr and not (home / "postgres").exists()


@pytest.mark.parametrize(("outcome", "code"), [("published", 0), ("nothing", 3), ("blocked", 4)])
def test_exit_codes_of_a_cycle(outcome, code):
    assert cycle.CycleResult(outcome=outcome).as_json()["exit_code"] == code


def test_the_county_table_keeps_its_columns_under_chinese_names():
    lines = status.table({"1": {"county_name": "某县", "on_time": 18}, "2": {"county_name": "某某族自治县", "missing": 3, "on_time": 15}})
    ends = {status._columns(line[: line.index(figure)] + figure) for line, figure in ((lines[1], "18"), (lines[2], "15"))}
    assert len(ends) == 1
    assert "·" in lines[1]  # nothing missing is not the same as an unknown


def test_progress_in_a_log_file_is_a_line_now_and_then(tmp_path):
    with (tmp_path / "log").open("w+", encoding="utf-8") as stream:
        with Progress(stream, tty=False) as progress:
            for number in range(1, 1001):
                progress("load: files", number, 1000)
        stream.seek(0)
        lines = stream.read().splitlines()
    assert 2 <= len(lines) < 20
    assert lines[-1].endswith("load: files 1,000/1,000")


def test_check_reads_by_contracts_of_others(home, tmp_path):
    import openpyxl

    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "crops.yaml").write_text(
        "{apiVersion: v3.0.0, kind: DataContract, id: crops, version: 1.0.0, status: active, name: 粮食生产统计表, schema: [{name: crops, properties: ["
        "{name: region, businessName: 地区, logicalType: string, primaryKey: true}, {name: area, businessName: 播种面积（亩）, logicalType: number},"
        "{name: note, businessName: 说明, logicalType: string, logicalTypeOptions: {pattern: x}}]}]}",
        encoding="utf-8",
    )
    book = openpyxl.Workbook()
    for row in (["粮食生产统计表"], ["填报单位：右江区", "截至日期：2020年6月14日"], ["地区", "播种面积（万亩）", "说明"], ["甲镇", 1.5, ""], ["乙镇", 2, ""], ["合计", 3.5, ""]):
        book.active.append(row)
    book.save(tmp_path / "表.xlsx")
    answer = CliRunner().invoke(main, ["check", str(tmp_path / "表.xlsx"), "--contracts", str(tmp_path / "contracts"), "--now", "2020-06-15T12:00"])
    assert answer.exit_code == 0, answer.output
    assert "CROPS" in answer.stdout and "35000亩" in answer.stdout and "pattern 未检查" in answer.stdout
    (tmp_path / "contracts" / "crops.yaml").write_text("kind: DataContract", encoding="utf-8")
    answer = CliRunner().invoke(main, ["check", str(tmp_path / "表.xlsx"), "--contracts", str(tmp_path / "contracts")])
    assert answer.exit_code == 2 and "crops.yaml: schema" in answer.stderr
