"""The Markdown of text blocks that people write, as elements: headings, paragraphs, lists, bold. Nothing else is needed."""

from __future__ import annotations

from collections.abc import Callable

from markdown_it import MarkdownIt

from reporting.brief.elements import Element, Heading, Paragraph, Run

Fill = Callable[[str, bool], list[Run]]  # text with {slots}, bold → runs


def elements(text: str, fill: Fill) -> list[Element]:
    """Headings become the third level (# the second), list items paragraphs of their own. HTML is shown as text."""
    found: list[Element] = []
    level, numbers = None, []
    for token in MarkdownIt("commonmark", {"html": False}).parse(text):
        if token.type == "heading_open":
            level = 2 if token.tag == "h1" else 3
        elif token.type == "heading_close":
            level = None
        elif token.type in ("ordered_list_open", "bullet_list_open"):
            numbers.append(int(token.attrs.get("start", 1)) - 1 if token.type.startswith("ordered") else None)
        elif token.type in ("ordered_list_close", "bullet_list_close"):
            numbers.pop()
        elif token.type == "list_item_open" and numbers[-1] is not None:
            numbers[-1] += 1
        elif token.type in ("fence", "code_block"):
            found.append(Paragraph(tuple(fill(token.content, False))))
        elif token.type == "inline":
            runs = _inline(token, fill)
            if level:
                found.append(Heading(level, "".join(r.text for r in runs)))
                continue
            if numbers:
                runs = [Run(f"{numbers[-1]}．" if numbers[-1] is not None else "—— "), *runs]
            found.append(Paragraph(tuple(runs), "item" if numbers else "body"))
    return found


def _inline(token, fill: Fill) -> list[Run]:
    runs, bold = [], False
    for child in token.children or []:
        if child.type in ("strong_open", "strong_close"):
            bold = child.type == "strong_open"
        elif child.type in ("softbreak", "hardbreak"):
            continue  # Chinese text runs on without a blank
        elif child.content:
            runs += fill(child.content, bold)
    return runs
