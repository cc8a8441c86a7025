"""The report as one page without anything from elsewhere; each figure is a link to its source."""

from __future__ import annotations

from html import escape

from reporting.brief.elements import MARK, Element, Heading, Paragraph, Report, Run, Source, Table

STYLE = """
:root { --ink: #1a1a1a; --muted: #5c5c5c; --line: #b9b9b9; --red: #b3261e; --link: #1f4e79; }
* { box-sizing: border-box; }
body { margin: 0; background: #eceae6; color: var(--ink); font: 17px/1.9 "FangSong_GB2312", "仿宋_GB2312", FangSong, "仿宋", "Noto Serif CJK SC", serif; }
main { max-width: 900px; margin: 32px auto; background: #fff; padding: 72px 76px; box-shadow: 0 1px 6px rgba(0,0,0,.15); }
h1 { font: 700 30px/1.5 "FZXiaoBiaoSong-B05S", "方正小标宋简体", STSong, SimSun, "Noto Serif CJK SC", serif; text-align: center; margin: 0; }
.subtitle { text-align: center; margin: 6px 0 0; }
.about { color: var(--muted); font-size: 14px; line-height: 1.7; border-bottom: 2px solid var(--red); padding: 14px 0 16px; margin: 0 0 26px; }
h2 { font: 700 19px/1.8 SimHei, "黑体", "Noto Sans CJK SC", sans-serif; margin: 26px 0 6px; text-indent: 2em; }
h3 { font: 700 18px/1.8 KaiTi_GB2312, KaiTi, "楷体", "Noto Serif CJK SC", serif; margin: 14px 0 4px; text-indent: 2em; }
h4 { font-size: 17px; margin: 10px 0 2px; text-indent: 2em; }
p { margin: 0 0 6px; text-indent: 2em; text-align: justify; overflow-wrap: anywhere; }
p.note { color: var(--muted); font-size: 14px; line-height: 1.7; text-indent: 0; }
p.fill { border: 1px dashed var(--red); color: var(--red); padding: 10px 16px; text-indent: 0; }
a.figure { color: inherit; text-decoration: none; border-bottom: 1px dotted var(--link); }
a.figure:hover, a.figure:focus { background: #e8f0f8; }
a.figure sup { color: var(--link); font: 11px/1 Arial, sans-serif; }
.missing { color: var(--red); }
.scroll { overflow-x: auto; margin: 10px 0 14px; }
table { border-collapse: collapse; width: 100%; font: 14px/1.55 SimSun, "宋体", "Noto Sans CJK SC", sans-serif; }
caption { font-weight: 700; padding: 4px 0; }
th, td { border: 1px solid var(--line); padding: 4px 8px; text-align: right; font-variant-numeric: tabular-nums; }
th { background: #f4f2ee; text-align: center; }
td:first-child, td.wide { text-align: left; }
.signature { text-align: right; margin: 32px 2em 0; }
.signature p { text-indent: 0; text-align: right; }
section.appendix { border-top: 1px solid var(--line); margin-top: 40px; padding-top: 10px; }
ol.sources { list-style: none; padding: 0; margin: 0; font: 13px/1.6 SimSun, "宋体", "Noto Sans CJK SC", sans-serif; }
ol.sources li { border-bottom: 1px solid #e3e0da; padding: 8px 0; }
ol.sources li:target { background: #fff6d6; }
ol.sources b { font-variant-numeric: tabular-nums; }
ol.sources code { display: block; font: 12px/1.5 ui-monospace, Consolas, monospace; color: #333; background: #f7f6f3; padding: 4px 8px; margin-top: 3px; overflow-wrap: anywhere; }
ol.sources .meta { color: var(--muted); }
@media (max-width: 700px) { main { margin: 0; padding: 28px 18px; } }
@media print { body { background: #fff; } main { box-shadow: none; margin: 0; max-width: none; padding: 0; } a.figure { border: 0; } }
"""


def page(report: Report) -> str:
    """The whole page. Everything that stands in it is escaped."""
    title = escape(report.title)
    parts = [
        f'<!doctype html><html lang="zh-CN"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title><style>{STYLE}</style></head><body><main>',
        f"<h1>{title}</h1>",
        f'<p class="subtitle">{escape(report.subtitle)}</p>' if report.subtitle else "",
        f'<p class="about">{escape(report.about)}</p>',
        *map(_element, report.elements),
        '<div class="signature">' + "".join(f"<p>{escape(line)}</p>" for line in report.signature) + "</div>",
        '<section class="appendix" id="comparison"><h2>附一：与上期报告对比</h2>', *map(_element, report.comparison), "</section>",
        '<section class="appendix" id="sources"><h2>附二：数据来源</h2><ol class="sources">', *map(_source, report.sources), "</ol></section>",
        "</main></body></html>",
    ]  # fmt: skip
    return "\n".join(parts)


def _element(element: Element) -> str:
    if isinstance(element, Heading):
        return f"<h{element.level + 1}>{escape(element.text)}</h{element.level + 1}>"
    if isinstance(element, Paragraph):
        kind = "" if element.kind in ("body", "item") else f' class="{element.kind}"'
        return f"<p{kind}>{''.join(map(_run, element.runs))}</p>"
    return _table(element)


def _table(table: Table) -> str:
    head = "".join(f"<th>{_run(r)}</th>" for r in table.header)
    rows = []
    for row in table.rows:
        rows.append("<tr>" + "".join(f"<td{' class=wide' if i in table.wide else ''}>{_run(r)}</td>" for i, r in enumerate(row)) + "</tr>")
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in table.notes)
    return f'<div class="scroll"><table><caption>{escape(table.title)}</caption><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>{notes}'


def _run(run: Run) -> str:
    text = escape(run.text)
    text = f"<b>{text}</b>" if run.bold else text
    text = f'<span class="missing">{text}</span>' if run.missing else text
    mark = MARK if run.marked else ""
    return f'<a class="figure" href="#s{run.ref}">{text}<sup>{run.ref}{mark}</sup></a>' if run.ref else text + mark


def _source(source: Source) -> str:
    where = source.address
    notes = "".join(f'<div class="missing">{escape(n)}</div>' for n in where.notes)
    commands = "".join(f"<code>{escape(c)}</code>" for c in where.commands())
    more = f'<div class="meta">以上为前{len(where.trace)}条，共{where.trace_of}条，其余换 --week、--county、--key 即可</div>' if where.trace_of > len(where.trace) and where.trace else ""
    return (
        f'<li id="s{source.number}"><b>{source.number}</b>　{escape(source.label)}：{escape(source.value)}'
        f' <span class="meta">第{where.publication}号发布 · {escape(where.source)} · {where.rows}行</span>{notes}<code>{escape(where.query)}</code>{commands}{more}</li>'
    )
