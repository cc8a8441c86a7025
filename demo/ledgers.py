"""The line lists of a made-up county: payouts, monitored households, projects, findings, trips and events."""

from __future__ import annotations

import datetime as dt
import random
from decimal import ROUND_HALF_UP, Decimal

from demo import people
from demo.places import County

FEN = Decimal("0.01")
DAY = dt.timedelta(days=1)
# unit → (rates in yuan that counties choose from, smallest and largest quantity, tenths allowed)
SUBSIDY = {
    "mu": ((300, 400, 500, 600, 800), 1, 9, True),
    "head": ((220, 300, 350, 1500), 1, 6, False),
    "bird": (("8.5", 10, 12), 40, 260, False),
    "hive": ((150, 180, 200), 2, 14, False),
    "sheet": ((100, 120, 150), 2, 14, False),
}


def week_days(year: int, week: int, days: int = 5) -> list[dt.date]:
    """Monday to Friday (or to another day) of an ISO week, as far as they lie in the year."""
    monday = dt.date.fromisocalendar(year, week, 1)
    return [d for d in (monday + k * DAY for k in range(days)) if d.year == year]


class Payouts:
    """Subsidies paid to households: none gets the same industry twice in a year, none passes the cap in one payout."""

    def __init__(self, county: County, year: int, chance: random.Random, per_week: int):
        self.county, self.year, self.chance, self.per_week = county, year, chance, per_week
        self.paid: dict[str, tuple[int, Decimal]] = {}  # industry → households, yuan so far
        self._count = 0
        weights = [chance.randint(1, 3) for _ in county.industries]
        self._wheel = [i for i, w in enumerate(weights) for _ in range(w)]
        chance.shuffle(self._wheel)
        self._rates = [Decimal(str(chance.choice(SUBSIDY[i.unit][0]))) for i in county.industries]
        # Households come up in a fixed order; the second time round each gets its next industry
        self._pool = max(40, int(per_week * 52 * 0.7))
        self._households: dict[int, tuple[str, str, str, str, str]] = {}

    def year_end(self, industry: str) -> int:
        """Households that will have been paid for an industry when the year is over, about."""
        share = sum(self.county.industries[i].code == industry for i in self._wheel) / len(self._wheel)
        return int(self.per_week * 52 * share)

    def mean_amount(self, industry: str) -> int:
        k = next(k for k, i in enumerate(self.county.industries) if i.code == industry)
        _, low, high, _ = SUBSIDY[self.county.industries[k].unit]
        return int(min(self._rates[k] * (low + high) / 2, self.county.cap_yuan))

    def week(self, n: int) -> list[dict]:
        season = 0.35 if n <= 6 else 0.7 if n <= 12 else 1.15
        days = week_days(self.year, n)
        rows = [self._payout(n, days) for _ in range(max(3, int(self.per_week * season * self.chance.uniform(0.85, 1.15))))]
        rows.sort(key=lambda row: row["payment_no"])
        for row in rows:
            households, yuan = self.paid.get(row["industry"], (0, Decimal(0)))
            self.paid[row["industry"]] = (households + 1, yuan + row["amount"])
        return rows

    def _payout(self, n: int, days: list[dt.date]) -> dict:
        number, chance, county = self._count, self.chance, self.county
        self._count += 1
        which, turn = number % self._pool, number // self._pool
        k = (self._wheel[which % len(self._wheel)] + turn) % len(county.industries)
        industry, rate_yuan = county.industries[k], self._rates[k]
        _, low, high, tenths = SUBSIDY[industry.unit]
        quantity = Decimal(chance.randint(low * 10, high * 10)) / 10 if tenths else Decimal(chance.randint(low, high))
        full = (quantity * rate_yuan).quantize(FEN, ROUND_HALF_UP)
        village, household, head, identity, account = self._household(which)
        return {
            "payment_no": f"FF{county.code}{self.year}{number + 1:07d}", "batch_no": f"{county.code[2:]}-{self.year}{n:02d}-{k + 1}",
            "village": village, "household_no": household, "head_name": head, "id_number": identity, "industry": industry.code,
            "quantity": quantity, "quantity_unit": industry.unit, "rate": rate_yuan, "amount": min(full, county.cap_yuan),
            "paid_date": chance.choice(days), "bank_account_tail": account,
            "remark": "按封顶标准发放" if full > county.cap_yuan else None,
        }  # fmt: skip

    def _household(self, which: int) -> tuple[str, str, str, str, str]:
        if which not in self._households:
            chance, county = self.chance, self.county
            code = county.address_codes[0] if chance.random() < 0.9 else chance.choice(county.address_codes)
            self._households[which] = (
                chance.choice(county.villages).code, f"{county.code}{which + 1:06d}", people.name(chance),
                people.id_number(code, which), f"{chance.randrange(10_000):04d}",
            )  # fmt: skip
        return self._households[which]


class Monitored:
    """Households watched for a return to poverty; cleared ones stay in the ledger with their date."""

    def __init__(self, county: County, year: int, chance: random.Random):
        self.county, self.year, self.chance = county, year, chance
        self.township = {v.code: v.township_code for v in county.villages}
        self.rows: list[dict] = []
        self._first_person = people.BIRTHDAYS * 900 + chance.randrange(people.BIRTHDAYS)
        new_year = dt.date(year, 1, 1)
        for _ in range(chance.randint(35, 60)):
            row = self._enter(new_year - chance.randint(30, 180) * DAY)
            if chance.random() < 0.2:
                row["cleared_date"] = min(row["entered_date"] + chance.randint(30, 80) * DAY, new_year - 5 * DAY)

    def week(self, n: int) -> list[dict]:
        """The whole ledger as it stands at the end of week n, its rows the caller's own."""
        days = week_days(self.year, n)
        ripe = [r for r in self.rows if r["cleared_date"] is None and r["intervention"] and r["entered_date"] < days[0] - 40 * DAY]
        for row in self.chance.sample(ripe, min(len(ripe), self.chance.choice((0, 0, 1, 1, 2)))):
            row["cleared_date"] = self.chance.choice(days)
        for _ in range(self.chance.choice((0, 1, 1, 2, 3))):
            self._enter(self.chance.choice(days))
        return [dict(row) for row in self.rows]

    def summary(self, as_of: dt.date) -> list[dict]:
        """The weekly form that the ledger adds up to, township by township."""
        monday, rows = as_of - 6 * DAY, []
        for place in self.county.townships:
            own = [r for r in self.rows if self.township[r["village"]] == place.code]
            still_open = [r for r in own if r["cleared_date"] is None]
            row = {"township": place.code}
            for kind in ("unstable", "marginal"):
                of_kind = [r for r in still_open if r["household_type"] == kind]
                row |= {f"{kind}_households": len(of_kind), f"{kind}_persons": sum(r["persons"] for r in of_kind)}
            row |= {f"{c}_households": sum(r["alert_level"] == c for r in still_open) for c in ("red", "yellow", "blue")}
            row["new_households"] = sum(r["entered_date"] >= monday for r in own)
            row["cleared_households"] = sum(r["cleared_date"] is not None and r["cleared_date"] >= monday for r in own)
            row["assisted_households"] = sum(r["intervention"] is not None for r in still_open)
            rows.append(row)
        return rows

    def _enter(self, day: dt.date) -> dict:
        chance, county, number = self.chance, self.county, len(self.rows) + 1
        level = chance.choice(("red", "yellow", "yellow", "blue", "blue"))
        cause = chance.choice(("illness", "illness", "disaster", "accident", "unemployment", "schooling", "other"))
        help_for = {"illness": "medical", "unemployment": "employment", "schooling": "education", "other": "safety_net"}
        helped = level == "red" or chance.random() < 0.75
        row = {
            "household_no": f"JC{county.code}{number:04d}", "village": chance.choice(county.villages).code, "head_name": people.name(chance),
            # other sequence numbers than the payouts' households, so that nobody is two people
            "id_number": people.id_number(county.address_codes[0], self._first_person + number * 31),
            "persons": chance.randint(1, 6), "household_type": chance.choice(("unstable", "unstable", "marginal")), "alert_level": level,
            "review_stage": "county", "risk_cause": cause, "intervention": help_for.get(cause, "industry") if helped else None,
            "entered_date": day, "cleared_date": None,
        }  # fmt: skip
        self.rows.append(row)
        return row


def projects(county: County, year: int, chance: random.Random) -> list[dict]:
    """The cooperation fund's projects of a year with the course that each will take; grouped by source."""
    kinds = (("employment", "扶贫车间扶持"), ("industry", "产业示范基地"), ("infrastructure", "屯级道路硬化"), ("health", "卫生院改造"),
             ("water", "人饮工程"), ("housing", "安置房配套"), ("education", "教学楼修缮"), ("other", "干部人才培训"))  # fmt: skip
    sources = [s for s, n in (("guangdong", chance.randint(5, 8)), ("shenzhen", chance.randint(2, 4)), ("district", chance.randint(2, 4)),
                              ("social", chance.randint(1, 3))) for _ in range(n)]  # fmt: skip
    plan = []
    for number, source in enumerate(sources, start=1):
        kind, title = chance.choice(kinds)
        start = dt.date(year, 1, 6) + chance.randint(0, 125) * DAY
        plan.append({
            "fixed": {"project_no": f"YG{county.code[2:]}{year}{number:03d}",
                      "project_name": f"{chance.choice(county.townships).name}{title}项目", "fund_source": source, "project_type": kind,
                      "allocated": Decimal(chance.randint(90, 560) * 10_000)},
            "start": None if number > 2 and chance.random() < 0.06 else start, "end": start + chance.randint(45, 165) * DAY,
            "first": Decimal(chance.choice(("0.5", "0.6", "0.8"))), "persons": chance.randint(200, 4200),
        })  # fmt: skip
    return plan


def project_rows(plan: list[dict], as_of: dt.date, before: list[dict] | None) -> list[dict]:
    """The project ledger of a week: money comes in two parts, is spent over the works, 1 % is kept as a guarantee."""
    rows = []
    for i, project in enumerate(plan):
        start, end, allocated = project["start"], project["end"], project["fixed"]["allocated"]
        status = "not_started" if start is None or start > as_of else "completed" if end <= as_of else "in_progress"
        done = 0.0 if status == "not_started" else min(1.0, (as_of - start).days / (end - start).days)
        arrived = allocated * (1 if done > 0.4 or (start is None and as_of.month > 3) else project["first"])
        spent = (allocated * Decimal(str(round(0.95 * done, 3))) if status == "in_progress" else allocated * Decimal("0.99") if done else Decimal(0))
        spent = min(spent, arrived * Decimal("0.98")) if status == "in_progress" else spent
        spent = (spent / 100).to_integral_value(ROUND_HALF_UP) * 100
        if before:
            spent, arrived = max(spent, before[i]["spent"]), max(arrived, before[i]["arrived"])
        rows.append({
            **project["fixed"], "arrived": arrived.quantize(FEN), "spent": spent.quantize(FEN),
            "spending_rate": (spent / arrived).quantize(Decimal("0.000001"), ROUND_HALF_UP), "status": status,
            "start_date": None if status == "not_started" else start, "completion_date": end if status == "completed" else None,
            "poor_persons_benefited": project["persons"],
        })  # fmt: skip
    return rows


def findings(county: County, year: int, chance: random.Random) -> list[dict]:
    """Everything that inspections will have found by the middle of the year, and when it is put right."""
    sources = ("central_inspection", "national_assessment", "discipline", "regional_inspection", "one_to_one", "unannounced_visit", "third_party")
    aspects = {"education": "义务教育", "medical": "基本医疗", "housing": "住房安全", "water": "饮水安全", "industry": "产业", "employment": "就业",
               "funds": "资金管理", "relocation": "易地搬迁", "conduct": "作风", "other": "其他"}  # fmt: skip
    slips = ("工作台账不完善，后续管护不到位", "政策宣传不到位，群众知晓率不高", "项目进度滞后，未按计划推进", "信息录入不准确，与实际情况不符")
    days = sorted(dt.date(year - 1, 10, 8) + chance.randint(0, 250) * DAY for _ in range(chance.randint(26, 42)))
    late = chance.randrange(len(days)) if chance.random() < 0.3 else None  # in some counties one of them is overdue
    plan = []
    for number, found in enumerate(days, start=1):
        due = found + chance.randint(60, 200) * DAY
        closed = found + chance.randint(30, max(31, (due - found).days - 5)) * DAY if number - 1 != late else due + 21 * DAY
        aspect = chance.choice(list(aspects))
        plan.append({"finding_no": f"WT{county.code[2:]}-{number:03d}", "source": chance.choice(sources), "aspect": aspect,
                     "description": f"{chance.choice(county.townships).name}{aspects[aspect]}方面{chance.choice(slips)}",
                     "found_date": found, "due_date": due, "closed_date": closed})  # fmt: skip
    return plan


def finding_rows(plan: list[dict], as_of: dt.date) -> list[dict]:
    rows = []
    for finding in plan:
        if finding["found_date"] > as_of:
            continue
        left = (finding["closed_date"] - as_of).days
        status = "verified" if left <= 0 else "done" if left <= 6 else "in_progress" if (as_of - finding["found_date"]).days > 14 else "open"
        closed = finding["closed_date"] if status == "verified" else None
        rows.append({**{k: v for k, v in finding.items() if k != "closed_date"}, "status": status, "closed_date": closed})
    return rows


def trips(county: County, year: int, week: int, chance: random.Random) -> list[dict]:
    """The week's journeys of workers to the partner province, most of them when work starts again."""
    rows = []
    for k in range(1, (chance.randint(2, 4) if 7 <= week <= 15 else chance.randint(1, 2)) + 1):
        mode = chance.choice(("coach", "coach", "coach", "train", "flight"))
        vehicles = chance.randint(1, 4) if mode == "coach" else 1
        persons = vehicles * chance.randint(24, 42) if mode == "coach" else chance.randint(90, 420)
        rows.append({"trip_no": f"SS{county.code[2:]}-{week:02d}{k:02d}", "trip_date": chance.choice(week_days(year, week, 7)), "mode": mode,
                     "destination": "广东" + chance.choice(("深圳", "佛山", "东莞", "广州", "中山")), "vehicles": vehicles, "persons": persons,
                     "poor_persons": int(persons * chance.uniform(0.45, 0.8))})  # fmt: skip
    return rows


def events(county: County, year: int, week: int, chance: random.Random) -> list[dict]:
    """The week's meetings, inspections and visits."""
    rows = []
    for k in range(1, chance.randint(1, 4) + 1):
        kind = chance.choice(("dispatch", "inspection", "inspection", "unannounced_visit", "bulletin", "epidemic_report"))
        visits = kind in ("inspection", "unannounced_visit")
        seen = [chance.randint(low, high) if visits else None for low, high in ((1, 6), (2, 12), (2, 15))]
        rows.append({"event_no": f"DD{county.code[2:]}-{week:02d}-{k}", "event_date": chance.choice(week_days(year, week, 7)), "event_type": kind,
                     "topic": chance.choice(("employment", "campaigns", "funds", "infrastructure", "relocation", "general")),
                     "level": chance.choice(("city", "county", "county", "township")),
                     **dict(zip(("townships_visited", "villages_visited", "points_visited"), seen, strict=True))})  # fmt: skip
    return rows
