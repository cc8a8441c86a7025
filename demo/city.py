"""What happens in a made-up county over a year, week by week: the true rows of every form.

Rows are dicts under the contracts' field names with the types of `ingestion.model.FormReading`: int, Decimal (yuan,
fractions), str (codes), date, bool, None for not reported. Declared rates are worked out to six places.
The same seed gives the same figures; a county does not depend on the others.
"""

from __future__ import annotations

import datetime as dt
import math
import random
from decimal import ROUND_HALF_UP, Decimal

from demo import ledgers
from demo.places import County

# In the order of the city's instruction, which is also the order of the sheets
FORMS = (
    "EMP01", "IND01", "IND02", "REL01", "COP01", "COP02", "COP03", "COP04", "FUN01",
    "CAM01", "EXI01", "EXI02", "MON01", "MON02", "REC01", "DIS01", "SOC01", "EPI01",
)  # fmt: skip
LEVELS = ("special_central", "special_region", "special_city", "special_county")
Rows = list[dict]


def as_of_date(year: int, week: int) -> dt.date:
    """The Sunday of an ISO week."""
    return dt.date.fromisocalendar(year, week, 7)


def week_name(year: int, week: int) -> str:
    return f"{year}-W{week:02d}"


def rate(part, whole) -> Decimal | None:
    """part / whole to six places, None where there is no whole."""
    return (Decimal(part) / Decimal(whole)).quantize(Decimal("0.000001"), ROUND_HALF_UP) if whole else None


def wan(yuan: float | Decimal, step: int = 100) -> Decimal:
    """Rounded to a hundredth of 万元 (or another step in yuan), as offices keep their books."""
    return Decimal(int(yuan // step) * step)


def rising(week: float, middle: float, width: float) -> float:
    """A share that goes from 0 to 1 around a middle week."""
    return 1 / (1 + math.exp(-(week - middle) / width))


class CountyYear:
    """One county's year. `week(n)` gives the rows of week n; weeks are worked out in order and kept."""

    def __init__(self, county: County, year: int = 2020, seed: int = 2020, payouts: int = 90, *, lag: float = 1.0):
        """``payouts``: subsidy payouts in an ordinary week. ``lag``: below 1, a fund line spends that much slower."""
        self.county, self.year, self.seed, self.lag = county, year, seed, lag
        self.forms = tuple(f for f in FORMS if county.exits_this_year or not f.startswith("EXI"))
        self._weeks: list[dict[str, Rows]] = []
        self._payouts = ledgers.Payouts(county, year, self._chance("payouts"), payouts)
        self._monitored = ledgers.Monitored(county, year, self._chance("monitored"))
        self._projects = ledgers.projects(county, year, self._chance("projects"))
        self._findings = ledgers.findings(county, year, self._chance("findings"))
        self._constants = {topic: getattr(self, f"_start_{topic}")(self._chance(topic)) for topic in
                           ("employment", "plans", "sites", "funds", "campaigns", "exits", "net", "trade", "firms")}  # fmt: skip

    def week(self, number: int) -> dict[str, Rows]:
        """Form → rows of week ``number`` (1, 2, …)."""
        while len(self._weeks) < number:
            self._weeks.append(self._next(len(self._weeks) + 1))
        return self._weeks[number - 1]

    def _chance(self, topic: str) -> random.Random:
        return random.Random(f"{self.seed}|{self.year}|{self.county.code}|{topic}")

    def _next(self, n: int) -> dict[str, Rows]:
        as_of = as_of_date(self.year, n)
        before = self._weeks[-1] if self._weeks else {}
        rows = {"IND02": self._payouts.week(n), "MON02": self._monitored.week(n)}
        rows["MON01"] = self._monitored.summary(as_of)
        rows["IND01"] = self._industries(n, before.get("IND01"))
        rows["COP01"] = ledgers.project_rows(self._projects, as_of, before.get("COP01"))
        rows["FUN01"] = self._funds(n, rows["COP01"])
        rows["REC01"] = ledgers.finding_rows(self._findings, as_of)
        rows["COP02"] = ledgers.trips(self.county, self.year, n, self._chance(f"trips{n}"))
        rows["DIS01"] = ledgers.events(self.county, self.year, n, self._chance(f"events{n}"))
        rows["EMP01"], rows["REL01"] = self._employment(n), self._relocation(n)
        rows["COP03"], rows["COP04"] = self._trade(n, before.get("COP03")), self._firms(n)
        rows["CAM01"], rows["EPI01"] = self._campaigns(n), self._epidemic(n)
        rows["SOC01"] = self._safety_net(n, before.get("SOC01"))
        if self.county.exits_this_year:
            rows["EXI01"], rows["EXI02"] = self._criteria(n), self._exit_villages(n)
        return {form: rows[form] for form in self.forms}

    # -- employment

    def _start_employment(self, chance: random.Random) -> list[dict]:
        towns, silent = [], chance.random() < 0.25  # some offices never count the households with wages everywhere
        for place in self.county.townships:
            villages = self.county.village_count.get(place.code, 5)
            labour = int(villages * chance.uniform(150, 230)) + 200
            towns.append({
                "code": place.code, "labour": labour, "base": int(labour * chance.uniform(0.62, 0.67)),
                "peak": chance.uniform(0.99, 1.04), "other": chance.uniform(0.52, 0.60), "in": chance.uniform(0.16, 0.2),
                "guangdong": chance.uniform(0.74, 0.9), "shops": max(1, villages // 5), "workers": chance.randint(11, 19),
                "posts": villages * 9 + chance.randint(0, 20), "wages": None if silent and chance.random() < 0.3 else chance.uniform(0.5, 0.56),
            })  # fmt: skip
        return towns

    def _employment(self, n: int) -> Rows:
        """Home for the festival and held back by the epidemic, then on the road again: from 62 % of 2019 to all."""
        back, rows = rising(n, 11, 2.8), []
        for town in self._constants["employment"]:
            away = int(town["base"] * (0.62 + 0.38 * back) * town["peak"])
            other, inside = int(away * town["other"]), int(away * town["in"])
            shops = town["shops"] + (1 if n >= 17 and town["shops"] > 2 else 0)
            open_shops = shops if n <= 3 else min(shops, int(shops * max(0.0, (n - 6) / 9)))
            rows.append({
                "township": town["code"], "labour_force": town["labour"], "employed_away": away,
                "away_other_province": other, "away_guangdong": int(other * town["guangdong"]), "away_in_province": inside,
                "employed_in_county": away - other - inside,
                "returned_unemployed": int(town["labour"] * (0.03 + 0.12 * (1 - back))),
                "employed_away_2019": town["base"], "rate_of_2019": rate(away, town["base"]),
                "workshops_recognised": shops, "workshops_resumed": open_shops, "workshop_poor_workers": open_shops * town["workers"],
                "public_posts": town["posts"] + n // 4, "public_post_holders": int((town["posts"] + n // 4) * 0.965),
                "wage_income_households": None if town["wages"] is None else int(town["labour"] * town["wages"] * (0.85 + 0.15 * back)),
            })  # fmt: skip
        return rows

    # -- industry subsidies

    def _start_plans(self, chance: random.Random) -> list[dict]:
        return [{"plan": chance.uniform(1.25, 1.6), "lead": chance.uniform(0.04, 0.1), "capable": chance.uniform(1.1, 1.35),
                 "covered": chance.uniform(0.78, 0.84), "parks": chance.choice((None, 0, 1, 2, 4, 5)),
                 "villages": chance.randint(5, 28), "led": chance.randint(30, 900)} for _ in self.county.industries]  # fmt: skip

    def _industries(self, n: int, before: Rows | None) -> Rows:
        rows = []
        for i, (industry, plan) in enumerate(zip(self.county.industries, self._constants["plans"], strict=True)):
            households, yuan = self._payouts.paid.get(industry.code, (0, Decimal(0)))
            year_end = self._payouts.year_end(industry.code)
            planned = int(year_end * plan["plan"]) + 40
            subsidy = wan(planned * self._payouts.mean_amount(industry.code) * 1.3, 10_000) + 50_000
            accepted = min(planned, households + int(year_end * plan["lead"]) + n)
            accepted = max(accepted, households, before[i]["accepted_households"] if before else 0)
            capable = int(planned * plan["capable"])
            rows.append({
                "industry": industry.code, "industry_tier": industry.tier, "planned_households": planned, "planned_subsidy": subsidy,
                "accepted_households": accepted, "paid_households": households, "paid_subsidy": yuan, "payout_rate": rate(yuan, subsidy),
                "capable_households": capable, "covered_households": int(capable * (plan["covered"] + 0.003 * n)),
                "parks_built": plan["parks"], "poor_villages_with_entity": plan["villages"] + n // 6, "entity_led_households": plan["led"] + 3 * n,
            })  # fmt: skip
        return rows

    # -- relocation

    def _start_sites(self, chance: random.Random) -> list[dict]:
        names, kinds = ("幸福", "安康", "同心", "老乡", "和谐", "新希望"), {"town": "小区", "village": "新村", "park": "社区"}
        sites, behind = [], chance.random() < 0.2  # in a few counties one site still has households without any work
        for k in range(chance.randint(3, 6)):
            place, kind = chance.choice(self.county.townships), chance.choice(list(kinds))
            households = chance.randint(170, 920)
            persons = int(households * chance.uniform(4.1, 4.5))
            sites.append({
                "site_code": f"AZ{self.county.code[2:]}{k + 1:02d}", "site_name": place.short[:2] + names[k] + kinds[kind],
                "township": place.code, "resettlement_type": kind, "households": households, "persons": persons,
                "willing": int(households * chance.uniform(0.85, 0.93)), "willing_persons": int(persons * chance.uniform(0.42, 0.48)),
                "idle": 3 if behind and k == 0 else 0, "industry": chance.randint(1, 5), "facility": chance.randint(3, 13),
            })  # fmt: skip
        return sites

    def _relocation(self, n: int) -> Rows:
        rows = []
        for site in self._constants["sites"]:
            idle = max(0, site["idle"] - n // 10) if n >= 6 else 0
            started = min(site["facility"], int(site["facility"] * (0.6 + 0.02 * n)))
            rows.append({
                **{f: site[f] for f in ("site_code", "site_name", "township", "resettlement_type", "households", "persons")},
                "willing_households": site["willing"], "willing_persons": site["willing_persons"],
                "employed_households": site["willing"] - idle, "employed_persons": int(site["willing_persons"] * (0.86 + 0.004 * min(n, 26))),
                "industry_projects_planned": site["industry"], "industry_projects_implemented": int(site["industry"] * min(1, 0.25 + 0.025 * n)),
                "facility_projects_planned": site["facility"], "facility_projects_started": started,
                "facility_projects_completed": min(started, int(site["facility"] * (0.2 + 0.016 * n))),
            })  # fmt: skip
        return rows

    # -- funds

    def _start_funds(self, chance: random.Random) -> dict:
        budget = {"special_central": 5200, "special_region": 3300, "special_city": 700, "special_county": 1500}
        budget = {line: int(amount * chance.uniform(0.7, 1.4)) * 10_000 for line, amount in budget.items()}
        special = sum(budget.values())
        budget |= {"all_fiscal": int(special * chance.uniform(1.2, 1.3)) // 10_000 * 10_000}
        budget |= {"consolidated": int(special * chance.uniform(0.6, 0.85)) // 10_000 * 10_000}
        pace = {line: chance.uniform(0.95, 1.05) for line in budget}
        pace["special_county"] *= self.lag
        return {"budget": budget, "pace": pace, "arrive": {line: chance.uniform(0.9, 0.99) for line in budget}}

    def _funds(self, n: int, projects: Rows) -> Rows:
        funds, rows = self._constants["funds"], {}
        for line, budget in funds["budget"].items():
            arrived = wan(budget * funds["arrive"][line] * (0.55 + 0.45 * rising(n, 6, 3)))
            spent = wan(float(arrived) * min(0.97, 0.88 * rising(n, 17, 5.5) * funds["pace"][line]))
            rows[line] = {"budgeted": Decimal(budget), "arrived": arrived, "spent": spent}
        rows["special"] = {f: sum((rows[line][f] for line in LEVELS), Decimal(0)) for f in ("budgeted", "arrived", "spent")}
        rows["cooperation"] = {f: sum((p[source] for p in projects), Decimal(0)) for f, source in
                               (("budgeted", "allocated"), ("arrived", "arrived"), ("spent", "spent"))}  # fmt: skip
        order = ("all_fiscal", "special", *LEVELS, "consolidated", "cooperation")
        return [{"fund_line": line, **rows[line], "spending_rate": rate(rows[line]["spent"], rows[line]["arrived"])} for line in order]

    # -- four campaigns

    def _start_campaigns(self, chance: random.Random) -> list[tuple]:
        kinds = {"school": (8, 16, 320), "school_works": (35, 50, 38), "medical": (14, 24, 38), "housing": (240, 330, 3.1),
                 "water_supply": (65, 110, 17), "water_tank": (480, 640, 0.8)}  # fmt: skip
        return [(kind, planned := chance.randint(low, high), int(planned * each * chance.uniform(0.8, 1.2)) * 10_000, chance.uniform(0.9, 1),
                 None if chance.random() < 0.12 else chance.randint(90, 9000)) for kind, (low, high, each) in kinds.items()]  # fmt: skip

    def _campaigns(self, n: int) -> Rows:
        rows = []
        for kind, planned, investment, final, people in self._constants["campaigns"]:
            started = int(planned * final * (0.25 + 0.75 * rising(n, 10, 3)))
            done = min(started, int(planned * 0.75 * rising(n, 19, 4)))
            rows.append({"project_kind": kind, "planned": planned, "started": started, "completed": done, "start_rate": rate(started, planned),
                         "completion_rate": rate(done, planned), "investment": Decimal(investment),
                         "invested": wan(investment * 0.8 * rising(n, 18, 4.5)), "beneficiaries": people})  # fmt: skip
        return rows

    # -- exit

    def _start_exits(self, chance: random.Random) -> dict:
        standard = {"industry": 60, "housing": 100, "medical": 98, "education": 100, "water": 95, "road": 100, "power": 100,
                    "services": 95, "assistance": 95, "incidence": 3}  # fmt: skip
        behind = chance.sample([c for c in standard if c != "incidence"], 4)
        met_in = {c: chance.randint(12, 40) if c in behind else 0 for c in standard} | {"incidence": chance.randint(14, 34)}
        villages = []
        for place in chance.sample(self.county.villages, min(len(self.county.villages), chance.randint(12, 20))):
            people = chance.randint(1200, 3600)
            poor = int(people * chance.uniform(0.025, 0.13))
            villages.append((place.code, people, poor, poor / people > 0.05, chance.randint(2, 4), ledgers.people.name(chance)))
        return {"standard": standard, "met_in": met_in, "gap": {c: chance.uniform(0.3, 1.2) for c in standard}, "villages": villages}

    def _criteria(self, n: int) -> Rows:
        exits, rows = self._constants["exits"], []
        for criterion, standard in exits["standard"].items():
            distance = (exits["met_in"][criterion] - n) / 26 * exits["gap"][criterion]
            low = criterion == "incidence"
            value = round(standard + distance + 0.01 if low and distance > 0 else standard - distance if not low else standard + distance - 0.01, 2)
            value = value if low else min(value, 100)
            met = value < standard if low else value >= standard
            rows.append({"criterion": criterion, "standard_value": Decimal(standard), "current_value": Decimal(str(value)), "is_met": met,
                         "gap_note": None if met else "正在按计划推进，预计年底前达标"})  # fmt: skip
        return rows

    def _exit_villages(self, n: int) -> Rows:
        rows = []
        for code, people, poor, listed, missing, leader in self._constants["exits"]["villages"]:
            left = int(poor * (1 - 0.5 * rising(n, 22, 5)))
            unmet = max(0, missing - n // 8)
            incidence = (Decimal(left) / people).quantize(Decimal("0.0001"), ROUND_HALF_UP)
            rows.append({"village": code, "criteria_met": 12 - unmet, "criteria_unmet": unmet, "poor_persons": left, "incidence": incidence,
                         "is_listed": listed, "leader": leader if listed else None})  # fmt: skip
        return rows

    # -- safety net, consumption, enterprises, epidemic

    def _start_net(self, chance: random.Random) -> list[dict]:
        towns = []
        for place in self.county.townships:
            low = self.county.village_count.get(place.code, 5) * chance.randint(70, 110)
            towns.append({"township": place.code, "low": low, "poor": chance.uniform(0.1, 0.14), "extreme": int(low * chance.uniform(0.06, 0.12)),
                          "orphans": chance.randint(1, 12), "disabled": int(low * chance.uniform(0.2, 0.35)),
                          "insured": int(low * chance.uniform(3.3, 4)), "yuan": chance.uniform(48, 66)})  # fmt: skip
        return towns

    def _safety_net(self, n: int, before: Rows | None) -> Rows:
        rows = []
        for i, town in enumerate(self._constants["net"]):
            low = town["low"] + (n * (i % 5 - 1)) // 4
            paid = wan(low * town["yuan"]) + (before[i]["subsidy_paid"] if before else 0)
            rows.append({"township": town["township"], "low_income_persons": low, "low_income_poor_persons": int(low * town["poor"] * (1 - n / 90)),
                         "extreme_poverty_persons": town["extreme"], "orphans": town["orphans"], "disability_subsidy_persons": town["disabled"] + n // 3,
                         "medical_insured_poor": town["insured"], "subsidy_paid": paid})  # fmt: skip
        return rows

    def _start_trade(self, chance: random.Random) -> dict[str, tuple[float, float]]:
        each = {"procurement": 95_000, "supermarket": 36_000, "online": 62_000, "fair": 20_000}
        return {channel: (yuan * chance.uniform(0.7, 1.5), chance.uniform(1400, 1600)) for channel, yuan in each.items()}

    def _trade(self, n: int, before: Rows | None) -> Rows:
        chance, rows = self._chance(f"trade{n}"), []
        for i, (channel, (weekly, per_person)) in enumerate(self._constants["trade"].items()):
            sold = wan(weekly * (0.4 + 0.9 * rising(n, 12, 3)) * chance.uniform(0.6, 1.4), 10)
            sales = sold + (before[i]["sales"] if before else 0)
            rows.append({"channel": channel, "sales": sales, "poor_persons_benefited": int(float(sales) / per_person)})
        return rows

    def _start_firms(self, chance: random.Random) -> list[tuple]:
        houses, trades = ("粤兴", "深桂", "鹏程", "南方", "惠民", "广源", "百联"), (
            ("农业科技", "农产品加工厂"), ("电子制造", "电子配件厂"), ("服饰", "服装加工厂"), ("环保建材", "新型建材厂"),
            ("生态养殖", "养殖场"), ("文化旅游", "乡村旅游开发"), ("食品", "果汁饮料加工厂"),
        )  # fmt: skip
        stem = self.county.short.rstrip("县市区") or self.county.short
        return [(f"{stem}{houses[k]}{trades[k][0]}有限公司", trades[k][1], chance.randint(1500, 9000) * 10_000, chance.uniform(0.5, 0.9),
                 chance.randint(45, 260), chance.uniform(0.2, 0.5)) for k in sorted(chance.sample(range(7), chance.randint(3, 6)))]  # fmt: skip

    def _firms(self, n: int) -> Rows:
        return [{"enterprise_name": name, "project_name": project, "contract_amount": Decimal(contract),
                 "invested": wan(contract * final * (0.2 + 0.8 * rising(n, 20, 6))), "jobs": jobs + n, "poor_jobs": int((jobs + n) * poor)}
                for name, project, contract, final, jobs, poor in self._constants["firms"]]  # fmt: skip

    def _epidemic(self, n: int) -> Rows:
        chance, wave = self._chance("epidemic"), rising(n, 5, 0.8)
        sizes = {"stranded_workers": (9000, "点对点输送、线上招聘"), "lost_jobs": (900, None), "unsold_produce": (640, "电商直播、单位采购"),
                 "halted_projects": (60, None), "closed_workshops": (30, "减免租金、分批复工"), "unassigned_cadres": (160, None)}  # fmt: skip
        rows = []
        for impact, (size, measure) in sizes.items():
            affected = size * chance.uniform(0.6, 1.4) * wave
            solved = affected * (0.15 + 0.8 * rising(n, 12, 3))
            tonnes = impact == "unsold_produce"
            in_unit = (lambda v: Decimal(str(round(v, 1)))) if tonnes else (lambda v: Decimal(int(v)))
            rows.append({"impact": impact, "affected": in_unit(affected), "resolved": min(in_unit(affected), in_unit(solved)),
                         "measure": measure if n >= 6 else None})  # fmt: skip
        return rows
