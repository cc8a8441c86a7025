"""What a contract file must say for the rest to work."""

import itertools
import re

import pytest
import yaml

from ingestion.checks import ELSEWHERE, KINDS
from ingestion.contracts import FOLDER, contracts
from ingestion.expressions import CONTEXT, Expression
from ingestion.reference import codes

FILES = sorted(p for p in FOLDER.glob("*.yaml") if p.name != "general.yaml")
FORMS = contracts().forms
RULES = [(form, rule) for form in FORMS for rule in form.rules]


def expressions(rule):
    """Every expression in a rule's definition."""
    definition = rule.definition
    named = [definition[k] for k in ("expression", "level", "change") if k in definition]
    return [*named, *definition.get("pairs", {}).values()]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_open_data_contract_standard(path):
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {"apiVersion", "kind", "id", "version", "status", "schema"} <= document.keys()
    assert document["kind"] == "DataContract" and re.fullmatch(r"v3\.\d+\.\d+", document["apiVersion"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", document["version"])
    assert path.stem.startswith(document["id"].lower())
    for table in document["schema"]:
        assert {"name", "physicalName", "logicalType", "properties"} <= table.keys()
        assert table["logicalType"] == "object"
        for column in table["properties"]:
            assert {"name", "logicalType", "physicalType"} <= column.keys()
            assert column["logicalType"] in ("string", "date", "number", "integer", "object", "array", "boolean"), column["name"]
        for rule in table.get("quality", []):
            assert rule["type"] in ("text", "library", "sql", "custom"), rule["name"]
            assert rule["type"] != "custom" or {"engine", "implementation"} <= rule.keys(), rule["name"]


def test_eighteen_forms():
    assert len(contracts().codes) == 18


def test_ids_are_unique():
    ids = [r.id for code in contracts().codes for r in contracts().form(code).rules] + [r.id for r in contracts().general_rules]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[A-Z]{3}-(\d{3}|[A-Z]+)", i) for i in ids)


def test_versions_of_a_form_do_not_overlap():
    for code in contracts().codes:
        versions = sorted((f for f in FORMS if f.code == code), key=lambda f: f.valid_from)
        for earlier, later in itertools.pairwise(versions):
            assert earlier.valid_to and earlier.valid_to < later.valid_from, code


@pytest.mark.parametrize("form", FORMS, ids=lambda f: f"{f.code}-{f.version}")
def test_fields(form):
    for field in form.fields:
        assert field.zh and field.type in ("text", "code", "integer", "decimal", "date", "percent", "boolean")
        assert field.kind in ("key", "attribute", "stock", "cumulative", "constant", "flow", "declared")
        assert field.type != "code" or field.codes in ("township", "village", "industry", "values", "identifier")
    headings = [h for f in form.fields for h in {f.zh, *f.aliases}]
    assert len(headings) == len(set(headings)), "one heading means two fields"


@pytest.mark.parametrize(("form", "rule"), RULES, ids=lambda x: getattr(x, "id", ""))
def test_rule(form, rule):
    assert rule.check in KINDS or rule.check in ELSEWHERE
    assert rule.severity in ("error", "warning") and rule.zh and rule.en
    assert rule.scope in ("row", "form", "cross_week", "cross_form")
    named = [rule.definition[k] for k in ("field", "group_by") if k in rule.definition] + rule.definition.get("fields", [])
    assert set(named) | set(rule.definition.get("pairs", {})) <= set(form.by_name)
    for text in expressions(rule):
        assert set(Expression(text, form.by_name).fields) <= set(form.by_name)
    if rule.check == "row":
        condition = Expression(rule.definition["expression"], form.by_name)
        assert rule.definition.get("field") or all(p.field in form.by_name for p in condition.parts()), "a finding needs a field"
    if rule.check == "declared":
        assert all(form.by_name[f].kind == "declared" for f in rule.definition.get("pairs") or [rule.definition["field"]])
    if rule.check == "complete":
        assert rule.definition["of"] in ("townships", "values")
    if rule.check == "sum_of_rows":
        assert {rule.definition["total"], *rule.definition["parts"]} <= set(form.key.values)


@pytest.mark.parametrize(("form", "rule"), RULES, ids=lambda x: getattr(x, "id", ""))
def test_codes_in_a_condition_are_codes_of_its_field(form, rule):
    for text in expressions(rule):
        for name, value in re.findall(r"(\w+) (?:==|!=) '(\w+)'", text):
            assert value in form.by_name[name].values, f"{rule.id}: {name} is never {value}"


def test_every_row_and_form_rule_has_its_test(request):
    folder = request.config.rootpath / "tests" / "rules"
    judged_here = {rule.id for _, rule in RULES if rule.check in KINDS}
    have = {p.stem for p in folder.glob("test_*.py")}
    assert {f"test_{i.lower().replace('-', '_')}" for i in judged_here} <= have


def test_context_is_no_field():
    assert not any(name in form.by_name for form in FORMS for name in CONTEXT)


def test_every_industry_has_a_name_and_every_county_its_list():
    for code in codes().counties_on(FORMS[0].valid_from):
        assert set(codes().industries_of(code)) <= set(codes().industries)
        assert codes().townships_of(code)
