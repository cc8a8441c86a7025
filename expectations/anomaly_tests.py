"""Which figures stand out: tests over a panel of series by week, in arrays, without a database.

Nothing here accuses anybody: what is found is shown to a reviewer with what is at stake, and holds nothing up.
A series is one row (township, fund line, project …) of one county's weekly form.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

SCORES = 8.0  # robust standard deviations from both medians, own and the peers'; as the rule EMP-010
HISTORY = 5  # own steps needed before the own history counts
PEERS = 10  # series of other counties needed before they count
STEP_SPREAD, RATE_SPREAD = 0.005, 0.02  # least spread, of the figure before and of a rate: what hardly moves must not look wild
LEAST_RATE = 0.3
LEVEL_SPREAD = 0.25  # in powers of ten; against the peers' size only a wrong unit stands out
FROZEN_WEEKS = 6
FROZEN_CHANCE = 1e-5
LEAST_MOVED, LEAST_OWN = 0.6, 0.7  # share of weeks in which the peers, and the series itself before, did move
DIGIT_WEEKS, DIGIT_VALUES = 8, 40
ROUND_CHANCE, EVEN_CHANCE = 1e-7, 2e-5
LEAST = {"yuan": 100_000.0, "persons": 50.0, "households": 20.0}  # at stake, below which nobody's time is asked for
LEAST_OTHER = 10.0


@dataclass
class Column:
    """One numeric field of a weekly mart. ``values``: series × weeks, NaN where nothing was reported for that very week."""

    name: str
    kind: str  # stock | cumulative | constant | flow
    unit: str
    is_base: bool  # a rate of the form is worked out over it
    values: np.ndarray
    trusted: np.ndarray  # the same without what a reviewer confirmed to be wrong


@dataclass
class Panel:
    weeks: list[str]
    county: np.ndarray  # code of each series
    key: np.ndarray
    group: np.ndarray  # series that are compared with each other
    columns: list[Column]


@dataclass
class Found:
    kind: str
    basis: str
    series: int | None  # None: the county as a whole
    county: str
    score: float
    value: float | None
    baseline: float | None
    baseline_week: str | None
    at_stake: float
    detail: dict


def find(panel: Panel, t: int, newest: bool) -> Iterator[tuple[Column, Found]]:
    """Everything that stands out in week number ``t``; what looks back over weeks only for the ``newest`` one."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # medians of nothing are NaN, which is what is wanted
        for column in panel.columns:
            restated = {f.series: f for f in _restated(panel, column, t)}
            yield from ((column, f) for f in restated.values())
            if column.kind != "constant":
                yield from ((column, f) for f in _outliers(panel, column, t) if f.series not in restated)
                if newest:
                    yield from ((column, f) for f in _frozen(panel, column, t))
                    yield from ((column, f) for f in _digits(panel, column, t))


def _least(column: Column) -> float:
    return LEAST.get(column.unit, LEAST_OTHER)


def _start(panel: Panel, column: Column, t: int) -> int:
    """First week that may be compared with week ``t``: figures of the year begin anew in January."""
    if column.kind not in ("cumulative", "constant"):
        return 0
    return next(n for n, week in enumerate(panel.weeks) if week[:4] == panel.weeks[t][:4])


def _before(values: np.ndarray, t: int, start: int) -> tuple[np.ndarray, np.ndarray]:
    """The last figure before week ``t`` and its week's number (-1: none)."""
    part = values[:, start:t]
    known = ~np.isnan(part)
    last = np.where(known.any(axis=1), part.shape[1] - 1 - np.argmax(known[:, ::-1], axis=1), -1) if part.shape[1] else np.full(len(values), -1)
    figure = np.where(last >= 0, part[np.arange(len(values)), np.maximum(last, 0)] if part.shape[1] else np.nan, np.nan)
    return figure, np.where(last >= 0, last + start, -1)


def _spread(values: np.ndarray, median: np.ndarray) -> np.ndarray:
    return 1.4826 * np.nanmedian(np.abs(values - median[:, None]), axis=1)


def _against_peers(panel: Panel, rates: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance of each rate from its peers' median, in robust spreads; the median; False in ``beyond`` if many move so."""
    score, middle, beyond = (np.full(len(rates), np.nan) for _ in range(3))
    for group in np.unique(panel.group):
        mine = panel.group == group
        have = rates[mine & ~np.isnan(rates)]
        if len(have) >= PEERS:
            median = np.median(have)
            off = np.abs(have - median)
            score[mine] = np.abs(rates[mine] - median) / max(1.4826 * np.median(off), least)
            middle[mine], beyond[mine] = median, np.abs(rates[mine] - median) > 1.5 * np.quantile(off, 0.95)
    return score, middle, beyond


def _outliers(panel: Panel, column: Column, t: int) -> Iterator[Found]:
    """Hampel's test of the step since the last report, as a figure and as a rate, against own steps and the peers'."""
    start = _start(panel, column, t)
    now, history = column.values[:, t], column.trusted[:, start:t]
    before, at = _before(column.trusted, t, start)
    gap = np.maximum(t - at, 1)
    steps = np.diff(history, axis=1) if history.shape[1] > 1 else np.full((len(now), 1), np.nan)
    rates = steps / np.where(history[:, :-1] > 0, history[:, :-1], np.nan) if history.shape[1] > 1 else steps
    usual, usual_rate = np.nanmedian(steps, axis=1), np.nanmedian(rates, axis=1)
    known = (~np.isnan(steps)).sum(axis=1) >= HISTORY
    expected = before + np.where(known, usual * gap, 0)
    off = np.abs(now - expected)
    rate = (now - before) / np.where(before > 0, before, np.nan)
    step_spread = np.fmax(np.fmax(_spread(steps, usual), STEP_SPREAD * np.abs(before)), 1) * gap
    own_step = np.where(known, off / step_spread, np.nan)
    own_rate = np.where(known, np.abs(rate - usual_rate) / np.fmax(_spread(rates, usual_rate), RATE_SPREAD), np.nan)
    widest = np.nanmax(np.abs(steps), axis=1)
    unlike = ~known | (off > 1.5 * np.where(np.isnan(widest), 0, widest) * gap)
    peer_step, peer_rate, beyond = (_against_peers(panel, rate, least)[part] for least, part in ((STEP_SPREAD, 0), (RATE_SPREAD, 0), (RATE_SPREAD, 2)))
    peered = ~np.isnan(peer_rate)
    agree = ~peered | (beyond == 1)
    # back to where it was before one odd week: the odd week has been told already
    earlier, _ = _before(np.where(np.arange(column.trusted.shape[1]) == at[:, None], np.nan, column.trusted), t, start)
    odd_week = np.abs(before - earlier) > SCORES * step_spread
    back = odd_week & (np.abs(now - earlier - np.where(known, 2 * usual, 0)) <= SCORES * step_spread)
    if column.kind == "cumulative":  # what comes in lumps (a project's payments) has no usual step to differ from
        moving = (steps != 0) & ~np.isnan(steps)
        lumpy = np.where(known, moving.sum(axis=1) < 0.5 * (~np.isnan(steps)).sum(axis=1), np.nanmean(np.where(np.isnan(rate), np.nan, rate != 0)) < 0.5)
        agree &= ~lumpy
    worth = (off >= _least(column)) & ~back & unlike & agree & ~np.isnan(before)
    by_step = worth & known & (own_step > SCORES) & (~peered | (peer_step > SCORES))
    by_rate = worth & (known | peered) & (np.abs(rate) > LEAST_RATE) & ~(own_rate <= SCORES) & ~(peer_rate <= SCORES)
    middle = _against_peers(panel, rate, RATE_SPREAD)[1]
    for n in np.flatnonzero(by_step | by_rate):
        scores = [s for s in ((own_step[n], peer_step[n]) if by_step[n] else (own_rate[n], peer_rate[n])) if not math.isnan(s)]
        basis = "+".join(name for name, hit in (("level", by_step[n]), ("rate", by_rate[n])) if hit)
        detail = {"before": before[n], "rate": rate[n], "usual": usual[n] if known[n] else None, "peers": middle[n]}
        yield Found("outlier", basis, int(n), panel.county[n], min(scores), now[n], expected[n], panel.weeks[at[n]], off[n], detail)
    yield from _sizes(panel, column, t, now, known)


def _sizes(panel: Panel, column: Column, t: int, now: np.ndarray, known: np.ndarray) -> Iterator[Found]:
    """The first figures of a series against the peers' size, in powers of ten: 元 for 万元, and the like."""
    size = np.where(now > 0, np.log10(np.where(now > 0, now, 1)), np.nan)
    score, middle, _ = _against_peers(panel, size, LEVEL_SPREAD)
    first = (~np.isnan(column.values[:, :t])).sum(axis=1) == 0
    for n in np.flatnonzero(first & ~known & (score > SCORES) & (np.abs(size - middle) >= 2) & (np.abs(now - 10**middle) >= _least(column))):
        detail = {"before": None, "rate": None, "usual": None, "peers": None}
        yield Found("outlier", "size", int(n), panel.county[n], score[n], now[n], 10 ** middle[n], None, abs(now[n] - 10 ** middle[n]), detail)


def _restated(panel: Panel, column: Column, t: int) -> Iterator[Found]:
    """A figure that others are measured by and that should stand still has moved; or a cumulative one has fallen."""
    start = _start(panel, column, t)
    now = column.values[:, t]
    before, at = _before(column.trusted, t, start)
    off = np.abs(now - before)
    rate = off / np.where(before > 0, before, np.nan)
    if column.kind == "constant":
        hit = rate > 0.01
    elif column.kind == "cumulative":
        hit = (now < before) & (rate > 0.005)
    elif column.is_base:
        history = column.trusted[:, start:t]
        own = np.abs(np.diff(history, axis=1)) / np.where(history[:, :-1] > 0, history[:, :-1], np.nan) if t - start > 1 else np.full((len(now), 1), np.nan)
        still = ((~np.isnan(own)).sum(axis=1) >= HISTORY) & (np.nanmax(own, axis=1) * 3 < rate)
        others = np.nanquantile(rate, 0.9) if (~np.isnan(rate)).sum() >= PEERS else 0.0
        hit = still & (rate > 0.03) & (rate > 3 * others)
    else:
        return
    for n in np.flatnonzero(hit & (off >= _least(column) / 5)):
        detail = {"before": before[n], "rate": (now[n] - before[n]) / before[n]}
        yield Found("restatement", column.kind, int(n), panel.county[n], rate[n] * 100, now[n], before[n], panel.weeks[at[n]], off[n], detail)


def _frozen(panel: Panel, column: Column, t: int) -> Iterator[Found]:
    """A figure that has stood still for weeks in which its peers moved: the chance of that, were it like its peers."""
    first = max(0, t - 51)
    values = column.values[:, first : t + 1]
    same = values[:, 1:] == values[:, :-1]
    known = ~np.isnan(values[:, 1:]) & ~np.isnan(values[:, :-1])
    if known.shape[1] < FROZEN_WEEKS - 1:
        return
    still = np.argmin(np.c_[np.zeros(len(values), bool), same][:, ::-1], axis=1)  # steps back from week t without a change
    now = values[:, -1]
    # at its cap, or all done: it stands as high as another figure of its row
    capped = np.zeros(len(now), bool)
    for other in panel.columns:
        if other is not column and other.unit == column.unit:
            capped |= other.values[:, t] == now
    hits = []
    for group in np.unique(panel.group):
        mine = panel.group == group
        for n in np.flatnonzero(mine & (still >= FROZEN_WEEKS - 1) & (now >= 10) & ~capped):
            span = slice(known.shape[1] - still[n], known.shape[1])
            others = mine & (panel.county != panel.county[n])
            seen = known[others, span].sum()
            moved = min(float((~same[others, span] & known[others, span]).sum() / seen), 0.98) if seen >= PEERS * FROZEN_WEEKS else 0.0
            before = known[n, : span.start]
            own = (~same[n, : span.start] & before).sum() / before.sum() if before.sum() >= HISTORY else 1.0
            if moved >= LEAST_MOVED and own >= LEAST_OWN and (1 - moved) ** int(still[n]) < FROZEN_CHANCE:
                drift = np.nanmedian(np.abs(values[others, -1] / np.where(values[others, -1 - still[n]] > 0, values[others, -1 - still[n]], np.nan) - 1))
                hits.append((int(n), int(still[n]) + 1, moved, float(now[n] * drift) if drift == drift else 0.0))
    for county in dict.fromkeys(panel.county[n] for n, *_ in hits):
        own = [h for h in hits if panel.county[h[0]] == county]
        if len(own) > 3:  # one cause, one finding: the county sends last week's table again
            weeks = min(h[1] for h in own)
            value = float(np.nansum(now[[h[0] for h in own]]))
            detail = {"rows": len(own), "moved": min(h[2] for h in own), "weeks": weeks}
            yield Found("frozen", "", None, county, weeks, value, value, panel.weeks[t - weeks + 1], sum(h[3] for h in own), detail)
        else:
            for n, weeks, moved, stake in own:
                yield Found("frozen", "", n, county, weeks, now[n], now[n], panel.weeks[t - weeks + 1], stake, {"rows": 1, "moved": moved, "weeks": weeks})


def _digits(panel: Panel, column: Column, t: int) -> Iterator[Found]:
    """Last digits of a county's figures over some weeks: too many 0 and 5 beside the peers, or spread too evenly.

    Of money the third digit is taken: what is written in 万元 ends in noughts. A figure that stands still counts once.
    """
    part = column.values[:, max(0, t - DIGIT_WEEKS + 1) : t + 1]
    digits: dict[str, list[int]] = {}
    for n in range(len(part)):
        for value in np.unique(part[n][~np.isnan(part[n])]):
            if value >= 100:
                place = 10 ** (math.floor(math.log10(value)) - 2) if column.unit == "yuan" else 1
                digits.setdefault(panel.county[n], []).append(int(value // place) % 10)
    for county, mine in digits.items():
        if len(mine) < DIGIT_VALUES:
            continue
        others = [d for c, some in digits.items() if c != county for d in some]
        share = max(0.2, sum(d in (0, 5) for d in others) / len(others)) if len(others) >= DIGIT_VALUES else 0.2
        round_ones = sum(d in (0, 5) for d in mine)
        total = float(np.nansum(column.values[panel.county == county, t]))
        chance = _binomial_tail(round_ones, len(mine), share)
        if chance < ROUND_CHANCE:
            yield Found("round_digits", "", None, county, -math.log10(max(chance, 1e-300)), round_ones / len(mine), share, None, total, {"values": len(mine)})
        counts = np.bincount(mine, minlength=10)
        statistic = float(((counts - len(mine) / 10) ** 2 / (len(mine) / 10)).sum())
        chance = _chi_square_below(statistic, 9)
        if chance < EVEN_CHANCE:
            yield Found("even_digits", "", None, county, -math.log10(max(chance, 1e-300)), statistic, 9.0, None, total, {"values": len(mine)})


def _binomial_tail(hits: int, of: int, share: float) -> float:
    """P(at least so many hits)."""

    def choose(k: int) -> float:
        return math.lgamma(of + 1) - math.lgamma(k + 1) - math.lgamma(of - k + 1)

    return min(1.0, sum(math.exp(choose(k) + k * math.log(share) + (of - k) * math.log(1 - share)) for k in range(hits, of + 1)) if share < 1 else 1.0)


def _chi_square_below(statistic: float, freedom: int) -> float:
    """P(chi-square at most so small): the series of the incomplete gamma function, which ends quickly for small values."""
    if statistic > freedom:
        return 1.0  # not small
    a, x = freedom / 2, statistic / 2
    term = math.exp(a * math.log(x) - x - math.lgamma(a + 1)) if x > 0 else 0.0
    total, n = 0.0, 0
    while term > 1e-18:
        total += term
        n += 1
        term *= x / (a + n)
    return total
