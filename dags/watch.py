"""Every quarter of an hour: is the cycle healthy, and does somebody have to know?"""

from __future__ import annotations

import contextlib
import datetime as dt

from airflow.sdk import DAG, Connection, CronTriggerTimetable, task
from house import DEFAULTS, tell

DOC = """
### 巡检与告警 | Watch

Works out the health of the cycle (`warehouse health`) and tells each cause once, by mail or webhook, and once more when
it is over: no publication by the deadline, a county missing twice, a gate that waits or blocks, disk, a failing DAG.
Where to: `WAREHOUSE_MAIL_TO`, `WAREHOUSE_SMTP_URL`, `WAREHOUSE_WEBHOOK_URL`, `alerts.yaml` in the home, or the Airflow
connections `warehouse_smtp` (host, port, login, password; extra: `{"to": "…", "from": "…"}`) and `warehouse_webhook`
(the whole address as host). The task succeeds also when the cycle is not healthy; it fails when a message could not be sent.
"""


def connections() -> dict[str, str]:
    """Alert settings from Airflow's connections; {} where there are none."""
    from urllib.parse import quote

    from airflow.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError

    found = {}
    nobody = (AirflowNotFoundException, AirflowRuntimeError)
    with contextlib.suppress(*nobody):
        mail = Connection.get("warehouse_smtp")
        login = f"{quote(mail.login)}:{quote(mail.password or '')}@" if mail.login else ""
        extra = mail.extra_dejson
        found = {"mail_to": extra["to"], "smtp_url": f"{extra.get('scheme', 'smtp')}://{login}{mail.host}:{mail.port or 25}?starttls={int(bool(extra.get('starttls')))}"}
        found |= {"mail_from": extra["from"]} if extra.get("from") else {}
    with contextlib.suppress(*nobody):
        found["webhook_url"] = Connection.get("warehouse_webhook").host
    return found


with DAG(
    "watch",
    doc_md=DOC,
    description="Health of the cycle, and alerts",
    schedule=CronTriggerTimetable("*/15 * * * *", timezone="Asia/Shanghai"),
    start_date=dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    default_args=DEFAULTS,
    tags=["operations"],
) as dag:

    @task(doc_md="One look, and a message for each cause that is new or over.")
    def look() -> bool:
        from warehouse.observe import alerts, health, metrics
        from warehouse.settings import Settings

        settings = Settings.from_environment()
        found = health.health(settings)
        metrics.send(metrics.of_health(found))
        told = alerts.alert(settings, found, connections() | alerts.configuration(settings))
        for key in told.raised:
            tell(f"Told: {key}")
        for key in told.over:
            tell(f"Over: {key}")
        if told.failed:
            raise RuntimeError(f"Alerts could not be sent by {', '.join(told.failed)}")
        return found.healthy

    look()
