"""Row and form rules, judged on one form as it was read, without a database.

`check_form` goes through the contract's rules in their order. What needs other weeks or other forms (no_fall,
unchanged, balance, stays, still_listed, outlier, sql) is judged where the database is.
"""

from __future__ import annotations

from collections.abc import Callable

from ingestion.checks.keys import check_complete, check_repeated_key, check_unique, has_own_key_rule
from ingestion.checks.rows import check_declared, check_id_number, check_row
from ingestion.checks.subject import Subject
from ingestion.checks.totals import check_sum_of_rows, check_totals
from ingestion.contract_model import Form, Rule
from ingestion.model import FormReading, TotalRow
from ingestion.reference import Codes

KINDS: dict[str, Callable[[Subject, Rule], None]] = {
    "row": check_row,
    "declared": check_declared,
    "id_number": check_id_number,
    "complete": check_complete,
    "unique_in_year": check_unique,  # within the form; load looks at the other submissions of the year
    "total": check_totals,
    "sum_of_rows": check_sum_of_rows,
}
ELSEWHERE = ("no_fall", "unchanged", "still_listed", "stays", "balance", "outlier", "sql")


def check_form(reading: FormReading, totals: list[TotalRow], form: Form, codes: Codes) -> None:
    """Append a finding to ``reading.findings`` for every breach of a row or form rule.

    A cell that reading already found at fault holds None and is not checked further. A form whose rows carry keys
    and nothing else (空报) is looked at for its keys only.
    """
    subject = Subject(reading, totals, form, codes)
    if not has_own_key_rule(form):
        check_repeated_key(subject)
    for rule in form.rules:
        check = KINDS.get(rule.check)
        if check and not (reading.empty and rule.check not in ("complete", "unique_in_year")):
            check(subject, rule)
    subject.tell_the_rest()
