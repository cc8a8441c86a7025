"""The static pages say what the tables say, ask nothing of the network, and hold no personal data."""

from __future__ import annotations

import datetime as dt
import json
import re
from html import unescape

import pytest

from ingestion.contracts import contracts
from ingestion.reference import codes
from reporting.site import build_site, finding_pages
from warehouse import grants

pytestmark = pytest.mark.database

WEEKS = ["2020-W22", "2020-W23", "2020-W24"]
ID_NUMBER = "451026199001011234"


def counties():
    return codes().counties_on(dt.date(2020, 6, 14))


def due(week):
    return dt.datetime.combine(dt.date.fromisocalendar(int(week[:4]), int(week[6:]), 7), dt.time(4), dt.UTC) + dt.timedelta(days=2)


def submission(connection, form, county, week, state, rows, received):
    """One file with one form; its rows stand in raw or among the rejected, as the database checks at commit."""
    number = connection.execute("select count(*) from intake.file").fetchone()[0] + 1
    file_id = connection.execute(
        "insert into intake.file (sha256, original_name, original_path, size_bytes, received_at, outcome) values (%s, %s, %s, 1, %s, 'loaded') returning file_id",
        [f"{number:064x}", f"周报{number}.xlsx", f"{number}.xlsx", received],
    ).fetchone()[0]
    back = state == "returned"
    found = connection.execute(
        """insert into intake.submission (file_id, form, contract_version, county_code, week, version, received_at, state, rows_read, rows_loaded, rows_rejected, layout)
           values (%s, %s, '1.0.0', %s, %s, 1, %s, %s, %s, %s, %s, '[]') returning submission_id""",
        [file_id, form, county, week, received, state, rows, 0 if back else rows, rows if back else 0],
    ).fetchone()[0]
    for row in range(1, rows + 1):
        table, names = ("intake.rejected_row", "submission_id, row_no, block_no, sheet_row") if back else (f"raw.{form.lower()}", "submission_id, row_no, block_no, sheet_row")
        connection.execute(f"insert into {table} ({names}) values (%s, %s, 1, %s)", [found, row, row + 3])
    return found


def finding(connection, rule, severity, county, week, form, status="open", **more):
    values = {"message_zh": "请核对", "cell": "C5", "sheet": "就业扶贫周报表", "value": "12", "expected": "13", "difference": "-1", "field": "employed_away", **more}
    names = ", ".join(values)
    connection.execute(
        f"insert into quality.finding (rule_id, severity, stage, county_code, week, form, status, {names}) values (%s, %s, 'reading', %s, %s, %s, %s{', %s' * len(values)})",
        [rule, severity, county, week, form, status, *values.values()],
    )


@pytest.fixture
def warehouse(connection):
    """Three weeks of three forms; every kind of status; a publication with two marts."""
    states = ["on_time", "late", "returned", "missing", "empty", "corrected", "on_time", "on_time"]
    pick = 0
    for week in WEEKS:
        for county in counties():
            for form in ("EMP01", "SOC01", "MON02"):
                state = states[pick % len(states)]
                pick += 1
                at = due(week) + dt.timedelta(hours=5 if state in ("late", "corrected") or pick % 16 == 5 else -5)
                known = None if state == "missing" else submission(connection, form, county, week, state, 0 if state == "empty" else pick % 4, at)
                connection.execute("insert into quality.reporting_status values (%s, %s, %s, %s, %s, %s, %s)", [week, county, form, state, due(week), known, due(week)])
    first = counties()[0]
    connection.execute("insert into quality.reporting_status values ('2020-W24', %s, 'IND01', 'expected', %s, null, %s)", [first, due("2020-W24"), due("2020-W24")])
    for n, county in enumerate(counties()):
        for _ in range(n % 3):
            finding(connection, "EMP-005", "warning", county, "2020-W24", "EMP01")
        finding(connection, "EMP-001", "error", county, "2020-W23", "EMP01", "superseded")
    finding(connection, "MOL-001", "error", first, "2020-W24", "MON02", field="id_number", value=ID_NUMBER, message_zh=f"身份证号 {ID_NUMBER} 校验位错误")
    finding(connection, "GEN-FORM", "error", None, None, None, field="", message_zh="无法识别 <script>alert(1)</script>")
    run = connection.execute(
        "insert into quality.check_run (finished_at, judged_at, publish_week, verdict, errors, warnings) values (now(), '2020-06-16 12:30+08', '2020-W24', 'warnings', 1, 11) returning check_run_id"
    ).fetchone()[0]
    for n, county in enumerate(counties()):
        status = ("pass", "pass_with_violations", "not_evaluable", "not_applicable")[n % 4]
        connection.execute("insert into quality.check_result (check_run_id, rule_id, form, week, county_code, status, severity) values (%s, 'EMP-005', 'EMP01', '2020-W24', %s, %s, 'warning')", [run, county, status])
    for number, week in enumerate(WEEKS, 1):  # a ledger's line comes last: what it lists stands by then
        connection.execute("insert into store.publication_submission (submission_id, opened_in) select submission_id, %s from intake.submission where week = %s and state <> 'returned'", [number, week])
        if number == 3:
            connection.execute("update store.publication_submission set closed_in = 3 where submission_id = (select min(submission_id) from store.publication_submission)")
            connection.execute(
                """insert into store.revision (publication_id, mart, county_code, week, row_key, column_name, kind, old_value, new_value, submission_id, change_reason)
                   select 3, 'fct_employment_weekly', %s, '2020-W23', county_code || lpad(n::text, 3, '0'), 'employed_away', 'revised', n::text, (n + 1)::text, submission_id, case n when 1 then '数据核实' end
                   from (select county_code, submission_id from intake.submission where form = 'EMP01' and week = '2020-W23' order by 1 limit 1) s, generate_series(1, 70) n""",
                [counties()[0]],
            )
        connection.execute(
            """insert into store.publication (publication_id, published_at, week, trigger, approved_by, code_version, check_run_id, rows_opened, rows_closed, previous_hash, content_hash, hash)
               values (%s, %s, %s, 'weekly', '批准人甲', '1.0', %s, 24, %s, 'p', %s, %s)""",
            [number, due(week) + dt.timedelta(hours=3), week, run, number - 1, f"content{number}", f"hash{number}"],
        )
    connection.execute("create table store.fct_employment_weekly (week text, county_code text, employed_away int, employed_away_2019 int, carried_from_week text, opened_in bigint, closed_in bigint)")
    for number, week in enumerate(WEEKS, 1):
        for n, county in enumerate(counties()):
            carried = WEEKS[number - 2] if number > 1 and n == 4 else None
            connection.execute("insert into store.fct_employment_weekly values (%s, %s, %s, %s, %s, %s, null)", [week, county, 1000 * number + n, 900, carried, number])
    connection.execute("create view marts.fct_employment_weekly as select * from store.fct_employment_weekly where opened_in <= store.reading_publication() and (closed_in is null or closed_in > store.reading_publication())")
    grants.ensure_grants(connection)  # made here by hand, not by a publication
    connection.commit()
    return connection


def page(index, path):
    return (index.parent / path).read_text(encoding="utf-8")


def strip(text):
    """The row of key figures: label → figure."""
    return {label: int(n.replace(",", "")) for n, label in re.findall(r"<div><b[^>]*>([\d,]+)</b><span>([^<]+)</span></div>", text)}


def plain(text):
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", text)))


def test_empty_warehouse_gives_a_page_that_says_what_to_do(connection, settings):
    index = build_site(connection, settings)
    text = page(index, "index.html")
    assert "尚无数据" in text and "warehouse cycle" in text and str(settings.home) in text


def test_key_figures_and_map_of_the_week_are_those_of_the_tables(warehouse, settings):
    index = build_site(warehouse, settings)
    text = page(index, "index.html")

    def one(query):
        return warehouse.execute(query).fetchone()[0]

    by_status = dict(warehouse.execute("select status, count(*) from quality.reporting_status where week = '2020-W24' group by 1").fetchall())
    shown = strip(text)
    assert shown["应报（表次）"] == sum(by_status.values())
    names = {"准时": "on_time", "迟报": "late", "补报": "corrected", "空报": "empty", "退回": "returned", "缺报": "missing"}
    assert {name: shown[name] for name in names} == {name: by_status.get(status, 0) for name, status in names.items()}
    assert shown["未解决提醒"] == one("select count(*) from quality.finding where week = '2020-W24' and severity = 'warning' and status = 'open'") == 12
    assert shown["未解决错误"] == 1
    cells = re.findall(r'<td class="s-(\w+)"><a class="cell"', text)
    assert {s: cells.count(s) for s in by_status} == by_status
    rate = one(
        """select round(100.0 * count(*) filter (where r.status in ('on_time', 'empty') and s.received_at <= r.due_at) / count(*), 1)
           from quality.reporting_status r left join intake.submission s using (submission_id) where r.week = '2020-W24' and r.status <> 'expected'"""
    )
    assert f"<b>{rate}%</b><span>准时率" in text
    read, loaded, rejected = warehouse.execute("select sum(rows_read), sum(rows_loaded), sum(rows_rejected) from intake.submission where week = '2020-W24'").fetchone()
    assert f"读入 {read} 行 ＝ 装载 {loaded} 行 ＋ 退回 {rejected} 行" in plain(text)
    assert "第 3 号发布" in text and "批准人甲" in text


def test_published_figures_and_what_is_carried(warehouse, settings):
    index = build_site(warehouse, settings)
    total, base = warehouse.execute("select sum(employed_away), sum(employed_away_2019) from marts.fct_employment_weekly where week = '2020-W24'").fetchone()
    text = plain(page(index, "index.html"))
    assert f"{total:,}" in text and f"{total / base * 100:.1f}" in text and "含 1 个县沿用往周" in text
    carried = codes().county_name(counties()[4])
    assert f"{carried} 2020-W23 就业扶贫" in text
    assert f"{total:,} 人" in plain(page(index, "figures/EMP01.html"))


def test_county_rule_and_publication_pages(warehouse, settings):
    index = build_site(warehouse, settings)
    county = counties()[2]
    text = plain(page(index, f"counties/{county}.html"))
    number = warehouse.execute("select count(*) from quality.finding where county_code = %s", [county]).fetchone()[0]
    assert f"历来问题 {number}" in text and "C5" in text and "公益性岗位在岗人数 ≤ 开发公益性岗位" in text
    rule = plain(page(index, "rules/EMP-005.html"))
    counts = dict(warehouse.execute("select status, count(*) from quality.check_result where rule_id = 'EMP-005' group by 1").fetchall())
    assert f"通过 {counts['pass']}" in rule and f"无法判定 {counts['not_evaluable']}" in rule
    assert f"通过率 {100 * counts['pass'] / (counts['pass'] + counts['pass_with_violations']):.1f}%" in rule
    for known in contracts().rules.values():
        assert known.zh in unescape(page(index, f"rules/{known.id}.html"))
    opened = warehouse.execute("select count(*) from store.publication_submission where opened_in = 3").fetchone()[0]
    standing = warehouse.execute("select count(*) from store.publication_submission where closed_in is null").fetchone()[0]
    text = plain(page(index, "publications/3.html"))
    assert f"含 {standing} 份；本号纳入 {opened}，移出 1" in text and "hash3" in text and "fct_employment_weekly 2020-W24 12 0" in text


def test_a_publications_revisions_are_on_its_page_each_with_its_address(warehouse, settings):
    index = build_site(warehouse, settings)
    text = plain(page(index, "publications/3.html"))
    assert "已发布各周的数字有 70 处改动" in text and "外出务工人数 修改 1 2 数据核实" in text and "查看全部 70 处" in text
    command = f"warehouse trace --mart fct_employment_weekly --week 2020-W23 --county {counties()[0]} --key {counties()[0]}001 --column employed_away --publication 3"
    assert command in text
    all_of_them = page(index, "publications/3-revisions.html")
    assert all_of_them.count("<summary") == 70 == warehouse.execute("select count(*) from store.revision").fetchone()[0]
    assert "没有改动以前各周的数字" in plain(page(index, "publications/2.html"))


def test_the_approval_is_on_the_publications_page(warehouse, settings):
    warehouse.execute(
        """insert into quality.approval (check_run_id, at_stake, decision, decided_by, decided_at, note)
           select max(check_run_id), '{}', 'approved', '王主任', now(), '已电话核实' from quality.check_run"""
    )
    assert "批准：王主任" in (text := plain(page(build_site(warehouse, settings), "publications/3.html"))) and "理由：已电话核实" in text


def test_a_countys_page_can_be_sent_alone_and_says_first_what_is_to_be_mended_now(warehouse, settings):
    county = counties()[2]
    for week in WEEKS:
        sent = submission(warehouse, "FUN01", county, week, "on_time", 1, due(week))
        finding(warehouse, "FUN-005", "warning", county, week, "FUN01", row_key="all_fiscal", field="spent", cell="H9", message_zh=f"{week}支出偏慢", submission_id=sent)
    text = page(build_site(warehouse, settings), f"counties/{county}.html")
    assert "<style>" in text and "stylesheet" not in text
    assert plain(text).count("与 2020-W24 同一问题，见上") == 2
    assert text.index("2020-W24支出偏慢") < text.index("同一问题，见上")


def test_waivers_are_listed_with_name_reason_and_expiry(warehouse, settings):
    warehouse.execute(
        """insert into quality.waiver (rule_id, county_code, form, from_week, to_week, granted_by, reason_zh, expires_on)
           values ('EMP-001', %s, 'EMP01', '2020-W22', '2020-W24', '李科长', '系统切换', '2020-12-31'), ('EMP-001', %s, 'EMP01', '2020-W22', '2020-W22', '李科长', '旧', '2020-06-01')""",
        [counties()[0], counties()[1]],
    )
    index = build_site(warehouse, settings)
    assert "豁免 1 项在用" in plain(page(index, "index.html"))
    rules = plain(page(index, "rules.html"))
    assert "李科长 系统切换 2020-12-31 在用" in rules and "李科长 旧 2020-06-01 已到期" in rules
    assert "在用豁免" in page(index, f"counties/{counties()[0]}.html") and "在用豁免" not in page(index, f"counties/{counties()[1]}.html")


def test_findings_page_holds_every_finding_once(warehouse, settings, monkeypatch):
    monkeypatch.setattr(finding_pages, "CHUNK_BYTES", 1500)  # several files a week
    index = build_site(warehouse, settings)
    meta = json.loads(re.search(r'id="meta">(.*?)</script>', page(index, "findings.html"), re.S)[1])
    rows = []
    for chunk in meta["chunks"]:
        rows += json.loads(page(index, chunk["file"]).removeprefix("addFindings(").removesuffix(");\n"))
    ids = [r["n"] for r in rows]
    assert sorted(ids) == [n for (n,) in warehouse.execute("select finding_id from quality.finding order by 1")]
    assert len([c for c in meta["chunks"] if c["week"] == "2020-W24"]) > 1


def test_no_personal_data_no_markup_from_data_and_no_network(warehouse, settings):
    index = build_site(warehouse, settings)
    for path in index.parent.rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            assert ID_NUMBER not in text
            assert path.stat().st_size < 1_000_000
            if path.suffix == ".html":
                assert "<script>alert" not in text
                assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", text)
                assert not re.search(r"\bfetch\(|XMLHttpRequest|@import|url\(", text)


def test_every_link_leads_somewhere(warehouse, settings, monkeypatch):
    monkeypatch.setattr(finding_pages, "PAGE_ROWS", 1)
    index = build_site(warehouse, settings)
    for path in index.parent.rglob("*.html"):
        for address in re.findall(r'(?:href|src)="([^"#:]+)(?:#[^"]*)?"', path.read_text(encoding="utf-8")):
            assert (path.parent / address).resolve().exists(), f"{path.name} → {address}"
    pages = len(list((index.parent / "counties").glob(f"{counties()[2]}*.html")))
    assert pages == warehouse.execute("select count(*) from quality.finding where county_code = %s", [counties()[2]]).fetchone()[0]


def test_blocked_run_is_said_in_front(warehouse, settings):
    warehouse.execute("insert into quality.check_run (finished_at, judged_at, publish_week, verdict, blocking_zh) values (now(), now(), '2020-W24', 'blocked', '错误规则未通过')")
    assert "最近一次检查未通过，未发布。" in page(build_site(warehouse, settings), "index.html")


def test_building_again_replaces_the_pages_and_leaves_nothing_behind(warehouse, settings):
    index = build_site(warehouse, settings)
    (index.parent / "stale.html").write_text("alt", encoding="utf-8")
    build_site(warehouse, settings)
    assert not (index.parent / "stale.html").exists()
    assert [p.name for p in settings.reports.iterdir()] == ["quality"]


def test_pages_of_half_a_year_stay_small(connection, settings):
    weeks = [f"2020-W{n:02d}" for n in range(1, 27)]
    rows = [(w, c, f, "on_time", due(w), None, due(w)) for w in weeks for c in counties() for f in contracts().codes]
    with connection.cursor().copy("copy quality.reporting_status from stdin") as copy:
        for row in rows:
            copy.write_row(row)
    connection.execute(
        """insert into quality.finding (rule_id, severity, stage, county_code, week, form, message_zh)
           select 'EMP-005', 'warning', 'reading', county_code, week, 'EMP01', '请核对' from quality.reporting_status, generate_series(1, 2)"""
    )
    index = build_site(connection, settings)
    assert max(p.stat().st_size for p in index.parent.rglob("*") if p.is_file()) < 1_000_000
