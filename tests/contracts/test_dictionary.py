"""docs/dictionary.md says what the contracts say."""

from ingestion.contracts import FOLDER, load_contracts
from warehouse.dictionary import PAGE, page

OWN = load_contracts(FOLDER)


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(OWN), "run `python -m warehouse.dictionary`"


def test_every_form_field_and_rule_is_on_it():
    text = page(OWN)
    for form in OWN.forms:
        section = text.split(f"\n## {form.code}\n")[1].split("\n## ")[0]
        assert form.zh in section and form.en in section
        assert all(f"| `{f.name}` | {f.zh} |" in section for f in form.fields)
        assert all(f"| {r.id} | " in section and r.zh in section for r in form.rules)


def test_tables_are_tables():
    """A cell with a bar in it would shift the rest of its row."""
    import re

    bars = None
    for line in page(OWN).splitlines():
        if not line.startswith("|"):
            bars = None
            continue
        here = len(re.findall(r"(?<!\\)\|", line))
        assert bars in (None, here), line
        bars = here
