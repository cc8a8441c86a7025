"""A form that is not in the regime, 春耕备耕, as a city might write it down: two contracts, the second from June on."""

from __future__ import annotations

from pathlib import Path

import openpyxl

MAY = """
apiVersion: v3.0.2
kind: DataContract
id: SPR01
version: 1.0.0
status: active
name: 春耕备耕进度周报表
dataProduct: spring_planting
description: {purpose: Spring planting weekly}
customProperties:
- {property: titles, value: [春耕备耕进度周报表]}
- {property: validFrom, value: '2020-01-01'}
- {property: validTo, value: '2020-05-31'}
schema:
- name: spr01
  logicalType: object
  properties:
  - {name: crop, businessName: 作物, logicalType: string, physicalType: text, required: true, primaryKey: true,
     customProperties: [{property: kind, value: key}, {property: type, value: code}, {property: codes, value: values},
                        {property: values, value: {rice: 水稻, maize: [玉米, 苞谷], vegetables: 蔬菜}}]}
  - {name: planned_area, businessName: 计划面积, logicalType: number, physicalType: numeric, required: true,
     customProperties: [{property: kind, value: stock}, {property: type, value: decimal}, {property: unit, value: 亩}]}
  - {name: sown_area, businessName: 已播面积, logicalType: number, physicalType: numeric, required: true,
     customProperties: [{property: kind, value: cumulative}, {property: type, value: decimal}, {property: unit, value: 亩}]}
  - {name: subsidy, businessName: 种粮补贴, logicalType: number, physicalType: numeric, required: false,
     customProperties: [{property: kind, value: cumulative}, {property: type, value: decimal}, {property: unit, value: yuan}]}
  quality:
  - {name: SPR-001, type: custom, engine: warehouse, severity: error, description: 已播面积不得大于计划面积,
     customProperties: [{property: scope, value: row}, {property: text_en, value: sown_area <= planned_area}],
     implementation: {check: row, expression: sown_area <= planned_area}}
  - {name: SPR-002, type: custom, engine: warehouse, severity: error, description: 累计数下降且无变化原因,
     customProperties: [{property: scope, value: cross_week}, {property: text_en, value: cumulative fields do not fall}],
     implementation: {check: no_fall, fields: [sown_area]}}
  - {name: SPR-003, type: custom, engine: warehouse, severity: error, description: 合计行不一致,
     customProperties: [{property: scope, value: form}, {property: text_en, value: the total equals the sum of the rows}],
     implementation: {check: total}}
"""

# From June: 已播面积 is called 播种面积, and households are counted too
JUNE = (
    MAY.replace("version: 1.0.0", "version: 2.0.0")
    .replace("{property: validFrom, value: '2020-01-01'}", "{property: validFrom, value: '2020-06-01'}")
    .replace("{property: validTo, value: '2020-05-31'}", "{property: validTo, value: null}")
    .replace("已播面积, logicalType", "播种面积, logicalType")
    .replace("已播面积不得大于", "播种面积不得大于")
    .replace(
        "  quality:",
        "  - {name: households, businessName: 参与农户, logicalType: integer, physicalType: integer, required: true,\n"
        "     customProperties: [{property: kind, value: stock}, {property: type, value: integer}, {property: unit, value: households}]}\n"
        "  quality:",
        1,
    )
)
HEADINGS = {"may": ["作物", "计划面积（亩）", "已播面积（亩）", "种粮补贴"], "june": ["作物", "计划面积（亩）", "播种面积（亩）", "种粮补贴", "参与农户（户）"]}
ROWS = {
    "may": [["水稻", 1200, 800.5, 3.2], ["苞谷", 500, 120, 1], ["合计", 1700, 920.5, 4.2]],
    "june": [["水稻", 1200, 1000, 4, 60], ["玉米", 500, 300, 2, 20], ["合计", 1700, 1300, 6, 80]],
}


def contracts_folder(folder: Path, *texts: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(texts, 1):
        (folder / f"contract-{number}.yaml").write_text(text, encoding="utf-8")
    return folder


def workbook(path: Path, version: str, date: str, rows: list[list] | None = None, unit: str = "亩、万元", headings: list[str] | None = None) -> Path:
    """Title in row 1, 填报单位 line in row 2, headings in row 3, rows from row 4."""
    path.parent.mkdir(parents=True, exist_ok=True)
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "春耕"
    for row in [["春耕备耕进度周报表"], ["填报单位：右江区", f"截至日期：{date}", f"单位：{unit}"], headings or HEADINGS[version], *(rows or ROWS[version])]:
        sheet.append(row)
    book.save(path)
    return path
