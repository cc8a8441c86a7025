"""What each metric means, in SQL written by hand, without the catalogue. :w is the week, :slice the one row kind asked for."""

SLICES = {
    "fund_line": ("all_fiscal", "special", "special_central", "special_region", "special_city", "special_county", "consolidated", "cooperation"),
    "project_kind": ("school", "school_works", "medical", "housing", "water_supply", "water_tank"),
    "impact": ("stranded_workers", "lost_jobs", "unsold_produce", "halted_projects", "closed_workshops", "unassigned_cadres"),
}
SUM = "select sum({0}) from marts.{1} where week = :w"
RATE = "select sum({0}) * 1.0000000000000000 / nullif(sum({1}), 0) from marts.{2} where week = :w"
OWN = " and carried_from_week is null"


def sums(mart, **names):
    return {name: SUM.format(column, mart) for name, column in names.items()}


def rates(mart, **names):
    return {name: RATE.format(*pair, mart) for name, pair in names.items()}


def sliced(queries):
    return {name: query + " and :slice" for name, query in queries.items()}


CRITERIA, VILLAGES = "marts.fct_county_exit_weekly where week = :w", "marts.fct_village_exit_weekly where week = :w"
IND, EMP, SOC, CAM, FUN = "fct_industry_subsidy_weekly", "fct_employment_weekly", "fct_safety_net_weekly", "fct_campaign_weekly", "fct_fiscal_fund_weekly"
REL, COP, ENT, MON, EPI = "fct_relocation_weekly", "fct_cooperation_project_weekly", "fct_enterprise_weekly", "fct_monitoring_weekly", "fct_epidemic_impact_weekly"
PAY, TRIP, EVENT = (f"marts.{m} where week = :w" for m in ("fct_subsidy_payment", "fct_labour_transport", "fct_oversight_event"))
LEDGER, HOUSE, PROJECT = "marts.fct_rectification", "marts.fct_monitored_household where week = :w and cleared_date is null", f"marts.{COP} where week = :w"

QUERIES = {
    "counties_not_exited": f"select count(*) from (select county_code from {CRITERIA} group by 1) c",
    "counties_with_unmet_criteria": f"select count(*) from (select county_code from {CRITERIA} group by 1 having not bool_and(is_met)) c",
    "exit_criteria": f"select count(criterion) from {CRITERIA}",
    "exit_criteria_met": f"select sum(is_met::int) from {CRITERIA}",
    "exit_criteria_unmet": f"select sum((not is_met)::int) from {CRITERIA}",
    "exit_criteria_met_rate": f"select avg(is_met::int) from {CRITERIA}",
    "villages_not_exited": f"select count(distinct village_code) from {VILLAGES}",
    "villages_listed": f"select sum(is_listed::int) from {VILLAGES}",
    "villages_ready": f"select count(*) from {VILLAGES} and criteria_met = 12",
    "village_criteria_unmet": f"select sum(12 - criteria_met) from {VILLAGES}",
    "village_poor_persons": f"select sum(poor_persons) from {VILLAGES}",
    "listed_village_poor_persons": f"select sum(case when is_listed then poor_persons else 0 end) from {VILLAGES}",
    **sums(
        IND, planned_households="planned_households", accepted_households="accepted_households", paid_households="paid_households",
        planned_subsidy="planned_subsidy", paid_subsidy="paid_subsidy", capable_households="capable_households", covered_households="covered_households",
        parks_built="parks_built", poor_villages_with_entity="poor_villages_with_entity", entity_led_households="entity_led_households",
    ),
    **rates(
        IND, payout_rate=("paid_subsidy", "planned_subsidy"), paid_of_accepted_rate=("paid_households", "accepted_households"),
        average_subsidy=("paid_subsidy", "paid_households"), industry_coverage_rate=("covered_households", "capable_households"),
    ),
    "payments": f"select count(payment_no) from {PAY}",
    "payment_amount": f"select sum(amount) from {PAY}",
    "payment_households": f"select count(*) from (select household_key from {PAY} group by 1) h",
    **sums(
        EMP, labour_force="labour_force", employed_away="employed_away", employed_away_2019="employed_away_2019", away_other_province="away_other_province",
        away_guangdong="away_guangdong", away_in_province="away_in_province", employed_in_county="employed_in_county", returned_unemployed="returned_unemployed",
        workshops_recognised="workshops_recognised", workshops_resumed="workshops_resumed", workshop_poor_workers="workshop_poor_workers",
        public_posts="public_posts", public_post_holders="public_post_holders", wage_income_households="wage_income_households",
    ),
    **rates(
        EMP, rate_of_2019=("employed_away", "employed_away_2019"), employed_away_rate=("employed_away", "labour_force"),
        workshop_resumption_rate=("workshops_resumed", "workshops_recognised"), public_post_rate=("public_post_holders", "public_posts"),
    ),
    **sums(
        SOC, low_income_persons="low_income_persons", low_income_poor_persons="low_income_poor_persons", extreme_poverty_persons="extreme_poverty_persons",
        orphans="orphans", disability_subsidy_persons="disability_subsidy_persons", medical_insured_poor="medical_insured_poor", safety_net_paid="subsidy_paid",
    ),
    **sliced(sums(CAM, campaign_planned="planned", campaign_started="started", campaign_completed="completed", campaign_beneficiaries="beneficiaries")),
    **sliced(rates(CAM, campaign_start_rate=("started", "planned"), campaign_completion_rate=("completed", "planned"))),
    **sums(CAM, campaign_investment="investment", campaign_invested="invested"),
    **rates(CAM, campaign_invested_rate=("invested", "investment")),
    **sliced(sums(FUN, fund_budgeted="budgeted", fund_arrived="arrived", fund_spent="spent")),
    **sliced(rates(FUN, fund_spending_rate=("spent", "arrived"))),
    "resettlement_sites": f"select count(*) from (select county_code, site_code from marts.{REL} where week = :w group by 1, 2) s",
    **sums(
        REL, relocated_households="households", relocated_persons="persons", willing_households="willing_households", willing_persons="willing_persons",
        employed_households="employed_households", employed_persons="employed_persons", zero_employment_households="willing_households - employed_households",
        relocation_industry_planned="industry_projects_planned", relocation_industry_implemented="industry_projects_implemented",
        relocation_facilities_planned="facility_projects_planned", relocation_facilities_started="facility_projects_started",
        relocation_facilities_completed="facility_projects_completed",
    ),
    **rates(
        REL, household_employment_rate=("employed_households", "willing_households"), person_employment_rate=("employed_persons", "willing_persons"),
        relocation_facility_completion_rate=("facility_projects_completed", "facility_projects_planned"),
    ),
    "cooperation_projects": f"select count(distinct (county_code, project_no)) from {PROJECT}",
    "cooperation_projects_started": f"select count(*) from {PROJECT} and status in ('in_progress', 'completed')",
    "cooperation_projects_completed": f"select count(completion_date) from {PROJECT}",
    "cooperation_start_rate": f"select avg((status in ('in_progress', 'completed'))::int) from {PROJECT}",
    **sums(COP, cooperation_allocated="allocated", cooperation_arrived="arrived", cooperation_spent="spent", cooperation_poor_persons="poor_persons_benefited"),
    **rates(COP, cooperation_spending_rate=("spent", "arrived")),
    "transport_trips": f"select sum(vehicles) from {TRIP}",
    "transported_persons": f"select sum(persons) from {TRIP}",
    "transported_poor_persons": f"select sum(poor_persons) from {TRIP}",
    **sums("fct_consumption_weekly", consumption_sales="sales", consumption_poor_persons="poor_persons_benefited"),
    "enterprises": f"select count(distinct (county_code, enterprise_name)) from marts.{ENT} where week = :w",
    **sums(ENT, enterprise_contracts="contract_amount", enterprise_invested="invested", enterprise_jobs="jobs", enterprise_poor_jobs="poor_jobs"),
    **sums(
        MON, monitored_households="red_households + yellow_households + blue_households", monitored_persons="unstable_persons + marginal_persons",
        unstable_households="unstable_households", unstable_persons="unstable_persons", marginal_households="marginal_households",
        marginal_persons="marginal_persons", red_households="red_households", yellow_households="yellow_households", blue_households="blue_households",
        assisted_households="assisted_households",
    ),
    **rates(MON, assistance_rate=("assisted_households", "unstable_households + marginal_households")),
    "new_monitored_households": SUM.format("new_households", MON) + OWN,
    "cleared_households": SUM.format("cleared_households", MON) + OWN,
    "open_households": f"select count(*) from {HOUSE}",
    "households_without_intervention": f"select count(*) - count(intervention) from {HOUSE}",
    "red_without_intervention": f"select count(*) - count(intervention) from {HOUSE} and alert_level = 'red'",
    "rectification_findings": f"select count(finding_no) from {LEDGER}",
    "rectification_done": f"select count(*) from {LEDGER} where status in ('done', 'verified')",
    "rectification_closed": f"select count(*) from {LEDGER} where status = 'verified'",
    "rectification_open": f"select count(*) from {LEDGER} where status in ('open', 'in_progress')",
    "rectification_overdue": f"select count(*) from {LEDGER} where status in ('open', 'in_progress') and due_date < date '2020-06-14'",
    "rectification_rate": f"select avg((status in ('done', 'verified'))::int) from {LEDGER}",
    **{name: f"select count(*) from {EVENT} and event_type = '{kind}'" for name, kind in (
        ("dispatch_meetings", "dispatch"), ("inspections", "inspection"), ("unannounced_visits", "unannounced_visit"),
        ("visit_bulletins", "bulletin"), ("epidemic_reports", "epidemic_report"))},
    **{name: f"select coalesce(sum({name}), 0) from {EVENT}" for name in ("townships_visited", "villages_visited", "points_visited")},
    **sliced(sums(EPI, epidemic_affected="affected", epidemic_resolved="resolved", epidemic_unresolved="affected - resolved")),
    **sliced(rates(EPI, epidemic_resolved_rate=("resolved", "affected"))),
}  # fmt: skip
