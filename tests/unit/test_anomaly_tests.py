"""Planted faults are found among figures that wander, and figures that only wander are left in peace."""

from __future__ import annotations

import numpy as np
import pytest

from expectations.anomaly_tests import Column, Panel, find

WEEKS = [f"2020-W{n:02d}" for n in range(3, 29)]
COUNTIES, TOWNSHIPS = 12, 12
LAST = len(WEEKS) - 1


def panel(seed=7, unit="persons", kind="stock", is_base=False, slope=0.004, noise=0.006):
    """12 × 12 townships, 26 weeks: every figure drifts upwards with some noise."""
    rng = np.random.default_rng(seed)
    size = np.exp(rng.normal(7, 0.6, (COUNTIES * TOWNSHIPS, 1))) * (1000 if unit == "yuan" else 1)
    steps = rng.normal(slope, noise, (len(size), len(WEEKS)))
    values = np.round(size * np.exp(np.cumsum(np.abs(steps) if kind == "cumulative" else steps, axis=1)))
    county = np.repeat([f"45{n:04d}" for n in range(COUNTIES)], TOWNSHIPS).astype(object)
    key = np.array([f"T{n:03d}" for n in range(len(size))], dtype=object)
    return Panel(WEEKS, county, key, np.zeros(len(size)), [Column("figure", kind, unit, is_base, values, values.copy())])


def plant(made, series, week, factor):
    column = made.columns[0]
    column.values[series, week] = column.trusted[series, week] = np.round(column.values[series, week] * factor)


def kinds(made, t=LAST, newest=True):
    return {(f.kind, f.series if f.series is not None else f.county) for _, f in find(made, t, newest)}


@pytest.mark.parametrize("kind", ["stock", "cumulative"])
@pytest.mark.parametrize("unit", ["persons", "yuan"])
def test_figures_that_only_wander_are_left_in_peace(kind, unit):
    """26 weeks × 144 series × 5 seeds = 18,720 figures: at most two in ten thousand."""
    found = sum(len(kinds(panel(seed, unit, kind), t, t == LAST)) for seed in range(5) for t in range(len(WEEKS)))
    assert found <= 3


@pytest.mark.parametrize("factor", [0.4, 1.9, 10, 10_000])
def test_a_jump_is_found_with_what_is_at_stake(factor):
    made = panel()
    plant(made, 17, LAST, factor)
    assert kinds(made) == {("outlier", 17)}
    (_, found), = find(made, LAST, True)
    now, before = made.columns[0].values[17, [LAST, LAST - 1]]
    assert "rate" in found.basis and found.at_stake == pytest.approx(abs(now - before), rel=0.1)


def test_a_small_rate_of_a_large_figure_is_found_by_level():
    made = panel(noise=0.0005, slope=0.001)
    made.columns[0].values[3] *= 40
    made.columns[0].trusted[3] *= 40
    plant(made, 3, LAST, 1.09)
    ((_, found),) = find(made, LAST, True)
    assert (found.series, found.basis) == (3, "level")


def test_when_everybody_jumps_nobody_stands_out():
    made = panel()
    made.columns[0].values[:, LAST] = made.columns[0].trusted[:, LAST] = np.round(made.columns[0].values[:, LAST] * 2)
    assert kinds(made) == set()


def test_an_odd_week_is_told_once_and_leaves_the_baseline_once_confirmed():
    made = panel()
    plant(made, 17, LAST - 1, 3)
    assert kinds(made, LAST - 1, False) == {("outlier", 17)}
    assert kinds(made) == set()  # back to where it was
    plant(made, 17, LAST, 3)  # wrong once more: beside a wrong baseline it looks right …
    assert kinds(made) == set()
    made.columns[0].trusted[17, LAST - 1] = np.nan  # … until the first one is confirmed
    assert kinds(made) == {("outlier", 17)}


def test_a_first_figure_in_the_wrong_unit():
    made = panel(unit="yuan")
    made.columns[0].values[40, :LAST] = made.columns[0].trusted[40, :LAST] = np.nan
    plant(made, 40, LAST, 10_000)
    ((_, found),) = find(made, LAST, True)
    assert (found.kind, found.basis, found.series) == ("outlier", "size", 40)


def test_a_base_that_is_restated():
    made = panel(is_base=True, slope=0.0, noise=0.0)
    plant(made, 5, LAST, 0.9)
    assert kinds(made) == {("restatement", 5)}


def test_a_cumulative_figure_that_falls_and_the_new_year():
    made = panel(kind="cumulative", unit="yuan")
    plant(made, 8, LAST, 0.7)
    assert kinds(made) == {("restatement", 8)}
    made.weeks = [f"2019-W{n:02d}" for n in range(26, 51)] + ["2020-W01"]  # in January everything begins anew
    assert kinds(made) == set()


@pytest.mark.parametrize(("weeks", "told"), [(6, True), (5, False)])
def test_figures_that_do_not_move(weeks, told):
    made = panel()
    column = made.columns[0]
    for values in (column.values, column.trusted):
        values[30, LAST - weeks + 1 :] = values[30, LAST - weeks + 1]
        values[30, LAST - weeks] = values[30, LAST] + 3
    assert kinds(made) == ({("frozen", 30)} if told else set())


def test_a_county_that_sends_last_weeks_table_is_one_finding():
    made = panel()
    mine = made.county == "450004"
    for values in (made.columns[0].values, made.columns[0].trusted):
        values[mine, LAST - 7 :] = values[mine, LAST - 7][:, None]
    ((_, found),) = find(made, LAST, True)
    assert (found.kind, found.series, found.county, found.detail["rows"], found.score) == ("frozen", None, "450004", TOWNSHIPS, 8)


def test_where_nobody_moves_standing_still_is_nothing():
    made = panel(slope=0.0, noise=0.0)
    assert kinds(made) == set()


def test_round_figures():
    made = panel()
    mine = made.county == "450007"
    for values in (made.columns[0].values, made.columns[0].trusted):
        values[mine] = np.round(values[mine] / 10) * 10
    assert ("round_digits", "450007") in kinds(made)
    assert {c for k, c in kinds(made) if k.endswith("digits")} == {"450007"}


def test_digits_that_are_too_even():
    made = panel()
    mine = np.flatnonzero(made.county == "450002")
    for values in (made.columns[0].values, made.columns[0].trusted):
        for n, series in enumerate(mine):
            for week in range(LAST - 7, LAST + 1):
                values[series, week] = values[series, week] // 10 * 10 + (n * 8 + week) % 10
    assert {f for f in kinds(made) if f[0].endswith("digits")} == {("even_digits", "450002")}
