"""Alerts: each cause reaches each channel once, and once more when it is over; a channel that fails is tried again."""

from __future__ import annotations

import datetime as dt
import json
import types

import pytest
from fake_post import Hook, Mailbox, running

from warehouse.observe.alerts import alert, configuration
from warehouse.observe.health import Check, Health, health
from warehouse.settings import Settings, WarehouseError

GATE = {"gate:7": "检查批次7有提示，发布在等人审批。请到 Airflow 批准或驳回。"}
SILENT = {"missing:451002:2020-W24": "右江区连续两周没有报送。请电话联系。"}


@pytest.fixture
def home(tmp_path, monkeypatch) -> Settings:
    monkeypatch.setenv("WAREHOUSE_HOME", str(tmp_path))
    for name in ("MAIL_TO", "MAIL_FROM", "SMTP_URL", "WEBHOOK_URL", "URL"):
        monkeypatch.delenv(f"WAREHOUSE_{name}", raising=False)
    settings = Settings.from_environment()
    settings.prepare()
    return settings


def found(settings: Settings, *causes: dict[str, str], hour: int = 12) -> Health:
    at = dt.datetime(2020, 6, 17, hour, tzinfo=settings.timezone)
    return Health(at, [Check("database"), Check("anything", {k: v for cause in causes for k, v in cause.items()})])


@pytest.fixture
def mailbox():
    with running(Mailbox()) as box:
        yield box


@pytest.fixture
def hook():
    with running(Hook()) as hook:
        yield hook


@pytest.fixture
def both(mailbox, hook):
    return {"mail_to": "a@city.example, b@city.example", "mail_from": "warehouse@city.example", "smtp_url": mailbox.url, "webhook_url": hook.url + "/hook"}


def test_a_cause_is_told_once_by_mail_and_by_webhook_and_says_what_to_do(home, mailbox, hook, both):
    for hour in range(12, 16):
        alert(home, found(home, GATE, hour=hour), both)
    (mail,), (body,) = mailbox.messages, hook.bodies
    assert "发布等待审批" in mail["Subject"] and mail["To"] == "a@city.example, b@city.example" and mail["From"] == "warehouse@city.example"
    assert mail.get_content().strip() == GATE["gate:7"]
    assert (body["cause"], body["state"], body["text"]) == ("gate:7", "raised", GATE["gate:7"])


def test_a_second_cause_is_told_and_the_first_is_not_repeated(home, hook):
    to = {"webhook_url": hook.url}
    alert(home, found(home, GATE), to)
    told = alert(home, found(home, GATE, SILENT), to)
    assert told.raised == ["missing:451002:2020-W24"]
    assert [body["cause"] for body in hook.bodies] == ["gate:7", "missing:451002:2020-W24"]


def test_the_end_of_it_is_told_once_and_a_new_beginning_again(home, hook):
    to = {"webhook_url": hook.url}
    for causes in ([GATE], [], [], [GATE]):
        alert(home, found(home, *causes), to)
    assert [(body["cause"], body["state"]) for body in hook.bodies] == [("gate:7", "raised"), ("gate:7", "over"), ("gate:7", "raised")]
    assert "已恢复" in hook.bodies[1]["subject"]


def test_a_channel_that_fails_is_tried_again_and_the_other_is_not_troubled(home, mailbox, hook, both):
    mailbox.refuses = True
    told = alert(home, found(home, GATE), both)
    assert told.failed == {"mail": "SMTPDataError"} and len(hook.bodies) == 1
    hook.status = 500
    mailbox.refuses = False
    told = alert(home, found(home, GATE, SILENT), both)
    assert told.failed == {"webhook": "OSError"}
    hook.status = 200
    alert(home, found(home, GATE, SILENT), both)
    assert len(mailbox.messages) == 2
    assert [body["cause"] for body in hook.bodies] == ["gate:7", "missing:451002:2020-W24"]


def test_what_a_database_that_is_away_cannot_tell_is_not_over(home, hook):
    to = {"webhook_url": hook.url}
    alert(home, found(home, GATE), to)
    alert(home, Health(found(home).at, [Check("database", {"database": "数据库无法使用。"})]), to)
    assert [(body["cause"], body["state"]) for body in hook.bodies] == [("gate:7", "raised"), ("database", "raised")]


def test_without_a_channel_nothing_is_noted_so_that_the_first_channel_is_told_everything(home, hook):
    assert alert(home, found(home, GATE), {}).channels == []
    assert alert(home, found(home, GATE), {"webhook_url": hook.url}).raised == ["gate:7"]


def test_where_to_comes_from_a_file_or_the_environment(home, monkeypatch):
    assert configuration(home) == {}
    (home.home / "alerts.yaml").write_text("mail_to: a@city.example\nsmtp_url: smtp://mail.example\n", encoding="utf-8")
    monkeypatch.setenv("WAREHOUSE_MAIL_TO", "b@city.example")
    assert configuration(home) == {"mail_to": "b@city.example", "smtp_url": "smtp://mail.example"}
    (home.home / "alerts.yaml").write_text("mailto: a@city.example\n", encoding="utf-8")
    with pytest.raises(WarehouseError, match="mailto"):
        configuration(home)


def test_a_password_in_an_address_gets_into_no_log_and_no_state(home, caplog):
    told = alert(home, found(home, GATE), {"webhook_url": "http://127.0.0.1:1/token-3141592", "mail_to": "a@b.example", "smtp_url": "smtp://u:geheim-271828@127.0.0.1:1"})
    assert set(told.failed) == {"mail", "webhook"}
    state = (home.home / "alerts.json").read_text(encoding="utf-8")
    for secret in ("token-3141592", "geheim-271828"):
        assert secret not in caplog.text and secret not in state and secret not in json.dumps(told.failed)


def test_a_database_that_is_away_is_a_finding_and_no_crash(home, monkeypatch):
    monkeypatch.setenv("WAREHOUSE_URL", "postgresql://nobody:pw@127.0.0.1:1/none")
    settings = Settings.from_environment()
    seen = health(settings)
    assert not seen.healthy and "数据库无法使用" in seen.causes["database"] and "127.0.0.1" not in seen.causes["database"]


def test_a_cycle_that_failed_is_a_cause_until_one_ends_well(home, monkeypatch):
    from warehouse.observe.steps import observed, observed_cycle

    class Ended:
        outcome, publication = "nothing", None
        files = submissions = rows = findings = seconds = types.MappingProxyType({})

    @observed_cycle
    def broken(settings):
        with observed(settings, "build"):
            raise WarehouseError("张三的文件")

    with pytest.raises(WarehouseError):
        broken(home)
    (text,) = [text for key, text in health(home).causes.items() if key.startswith("cycle:")]
    assert "build" in text and "WarehouseError" in text and "张三" not in text
    observed_cycle(lambda settings: Ended)(home)
    assert not any(key.startswith("cycle:") for key in health(home).causes)
