"""The gate before publishing: lets pass, stops, or waits in Airflow until a person has answered."""

from __future__ import annotations

import datetime as dt
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param, Variable
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from house import tell, warehouse_connection

APPROVE, REJECT = "批准发布 Approve", "驳回 Reject"
POLICY = "warehouse_approve"  # Airflow variable: when a person has to approve, unless a run says otherwise
ORDINARY = "on_warnings"
NOTE = Param("", type=["null", "string"], title="理由 Reason", description="写入发布台账 | Kept in the ledger", source="task")


class ApprovalGate(HITLOperator):
    """Returns {"check_run_id", "approved_by", "note"} once a publication may be made; skips what follows if it may not.

    Fails where the checks block. Waits (state ``awaiting_input``, no process) where the policy wants a person: reject,
    or no answer in time, and the last publication stands.
    """

    template_fields = (*HITLOperator.template_fields, "check_run_id")

    def __init__(self, *, check_run_id: Any, **kwargs) -> None:
        super().__init__(
            subject="发布审批 | Approval of a publication",
            options=[APPROVE, REJECT],
            **kwargs,
        )
        self.check_run_id = check_run_id

    def execute(self, context):
        from warehouse import approval, cycle

        params, number = context["params"], int(self.check_run_id)
        with warehouse_connection("publisher") as (connection, settings):
            run = cycle.check_run(connection, number)
            if run["verdict"] == "blocked":
                raise AirflowFailException(f"Check run {number} blocks the publication: {run['blocking_zh']}")
            policy = params["approve"] or Variable.get(POLICY, default=ORDINARY)
            if params["approved_by"] or not approval.needed(policy, run["verdict"]):
                return {"check_run_id": number, "approved_by": params["approved_by"], "note": None}
            self.response_timeout = dt.timedelta(hours=params["answer_within_hours"])
            until = cycle.clock(settings) + self.response_timeout
            stake = approval.at_stake(connection, number)
            approval.ask(connection, stake, until)
        self.subject = f"{stake.week} 发布审批，请于 {until:%Y-%m-%d %H:%M} 前答复 | Approve the publication of {stake.week}"
        self.body = approval.describe(stake)
        tell(f"Check run {number} ({run['verdict']}) waits for a person until {until:%Y-%m-%d %H:%M}")
        return super().execute(context)

    def execute_complete(self, context, event):
        from warehouse import approval

        number = int(self.check_run_id)
        if event.get("error_type") == "timeout":
            with warehouse_connection("publisher") as (connection, _):
                approval.answer(connection, number, "lapsed", None)
            raise AirflowSkipException(
                "Nobody answered in time: nothing is published, the last publication stands, and what was built waits for the next run"
            )
        answer = super().execute_complete(context, event)
        by = (answer.get("responded_by_user") or {}).get("name")
        note = (answer["params_input"].get("note") or "").strip() or None
        approved = answer["chosen_options"] == [APPROVE]
        with warehouse_connection("publisher") as (connection, _):
            approval.answer(connection, number, "approved" if approved else "rejected", by, note)
        if not approved:
            raise AirflowSkipException(f"{by} rejected the publication ({note or 'no reason given'}): the last publication stands")
        return {"check_run_id": number, "approved_by": by, "note": note}
