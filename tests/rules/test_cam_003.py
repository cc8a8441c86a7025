"""CAM-003: both declared rates against the planned number."""

from decimal import Decimal

from tests.rules.builder import found

ROW = {"project_kind": "medical", "planned": 8, "started": 6, "completed": 3, "start_rate": Decimal("0.75"), "completion_rate": Decimal("0.375")}


def test_pass():
    assert found("CAM-003", "CAM01", ROW) == []
    assert found("CAM-003", "CAM01", ROW | {"completion_rate": Decimal("0.38")}) == []


def test_fail_each_rate_by_itself():
    findings = found("CAM-003", "CAM01", ROW | {"start_rate": Decimal("0.70"), "completion_rate": Decimal("0.5")})
    assert [(f.row_key, f.field, f.expected) for f in findings] == [("medical", "start_rate", "0.75"), ("medical", "completion_rate", "0.4")]


def test_not_evaluable():
    assert found("CAM-003", "CAM01", ROW | {"planned": 0, "start_rate": Decimal("0.1")}) == []
