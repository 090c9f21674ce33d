"""Daily counts of many subjects: when is one too low, too high or missing, and since when has its level changed?

A subject is held against two references: the traffic of the day without its own share of it, and the level of the
three subjects whose counts go with its own most closely. An alarm needs both, so that neither a promotion (all rise)
nor a change of demand (its neighbours rise as well) nor a loss of traffic is taken for a fault of the subject.

All of it is in logarithms: a count of a half is as far from the usual one as a double one. Centres are medians and
scales are median absolute deviations (Hampel, 1974), which up to half of the days cannot move; days under test are left
out of both, and so are days of incidents that were found.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from microconv.stats.count_tails import lower_tail, upper_tail

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Kind = Literal["missing", "low", "high"]

LONGEST_RUN = 7
"""What lasts longer is a change of level."""
FEWEST_EXPECTED = 10.0
"""No count is judged where chance alone leaves few (a Poisson count of 10 is zero once in 22,000)."""
FEWEST_DAYS = 10
"""Other days that a baseline needs."""
_WEEKLY_FROM_DAYS = 21
_NOISE_FLOOR = 0.03
"""Robust daily noise of the steadiest shares in real exports: nothing is steadier, whatever a short history shows."""
_MAD = 1.4826  # makes the median absolute deviation of a normal distribution its standard deviation
_MEDIAN_VARIANCE = math.pi / 2  # of a median, in variances of a mean
_PEERS = 3
_SAME_LEVEL = 1.25
_BRIDGED_DAYS = 3
_PASSES = 6


@dataclass(frozen=True)
class DailyCounts:
    """Counts by subject and day.

    Attributes:
        subjects: What is counted; one row of `counts` each.
        days: The days, in order; one column of `counts` each.
        counts: What was counted.
        traffic: All that happened on each day, the counts included.
        is_over: Whether the day's counts are final; others are only looked at for what is missing.
    """

    subjects: tuple[str, ...]
    days: tuple[date, ...]
    counts: Floats
    traffic: Floats
    is_over: Flags
    weekdays: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        """Derive the days of the week."""
        object.__setattr__(self, "weekdays", np.array([day.weekday() for day in self.days], dtype=np.int64))


@dataclass(frozen=True)
class OutlyingRun:
    """Days in a row on which a subject was not what it usually is.

    Attributes:
        subject: What is counted.
        first: Index of the first day.
        last: Index of the last day.
        kind: Nothing at all, less, or more.
        seen: What was counted on these days.
        expected: What its share of the traffic on other days lets one expect.
        p_value: How often chance does it, on these days and for this subject.
        daily: What was expected of each day.
    """

    subject: str
    first: int
    last: int
    kind: Kind
    seen: int
    expected: float
    p_value: float
    daily: tuple[float, ...]


@dataclass(frozen=True)
class Limits:
    """From when something is told.

    Attributes:
        false_alarms: Alarms by chance to expect in a whole set of counts: all subjects, days and lengths of runs.
        low: A run is low from this ratio of seen and expected.
        high: A run is high from this ratio.
        fewest_expected: What must be expected of a run.
        shift: A level has changed from this factor, up or down.
    """

    false_alarms: float = 0.01
    low: float = 0.7
    high: float = 1.4
    fewest_expected: float = FEWEST_EXPECTED
    shift: float = 1.4


def outlying_runs(
    data: DailyCounts, limits: Limits = Limits(), shifts: Sequence[LevelShift] = ()
) -> tuple[OutlyingRun, ...]:
    """Return the runs of 1 to 7 days on which a subject was missing, too low or too high.

    Runs of all lengths are tested; of those that overlap the least likely is kept. A p-value is the larger one of the
    negative binomial tail and of the normal tail of the logarithm, for noise of either shape exists; a run is told
    where it is below `false_alarms`, divided by the number of subjects, days and lengths (Bonferroni). The
    overdispersion is what the robust variance of other days exceeds Poisson's by.

    Args:
        data: Counts.
        limits: From when a run is told.
        shifts: Changes of level: each day is held against days of its own level.
    """
    tests = max(len(data.subjects) * len(data.days) * LONGEST_RUN, 1)
    threshold = limits.false_alarms / tests
    incidents = np.zeros(data.counts.shape, dtype=bool)
    found: list[OutlyingRun] = []
    for _ in range(_PASSES):
        fresh: list[OutlyingRun] = []
        for row, subject in enumerate(data.subjects):
            for candidate in _runs_of(
                data, row, incidents, limits=limits, threshold=threshold, segments=_segments(data, subject, shifts)
            ):
                if not incidents[row, candidate.first : candidate.last + 1].any():
                    incidents[row, candidate.first : candidate.last + 1] = True
                    fresh.append(candidate)
        found += fresh
        if not fresh:
            break
    return tuple(sorted(found, key=lambda run: (data.subjects.index(run.subject), run.first)))


def _segments(data: DailyCounts, subject: str, shifts: Sequence[LevelShift]) -> list[tuple[int, int]]:
    cuts = sorted({0, len(data.days), *(each.first for each in shifts if each.subject == subject)})
    return list(pairwise(cuts))


def _active(counts: Floats) -> Flags:
    """Return the days on which a subject was to be expected: from its first one to its last.

    Up to a week before or after belongs to it as well, if it was there for at least half of all days: others come for a
    while and go.
    """
    active = np.zeros(len(counts), dtype=bool)
    seen = np.flatnonzero(counts > 0)
    if len(seen):
        first, last, days = int(seen[0]), int(seen[-1]) + 1, len(counts)
        lasts = 2 * (last - first) >= days
        begin = 0 if lasts and first <= LONGEST_RUN else first
        active[begin : days if lasts and days - last <= LONGEST_RUN else last] = True
    return active


def _median(values: Floats) -> Floats:
    """Return the median of each row; NaN are left out."""
    ordered = np.sort(values, axis=1)
    n = np.sum(~np.isnan(ordered), axis=1)
    rows = np.arange(len(ordered))
    low, high = np.maximum((n - 1) // 2, 0), np.minimum(n // 2, ordered.shape[1] - 1)
    return np.where(n > 0, (ordered[rows, low] + ordered[rows, high]) / 2, np.nan)


def _references(data: DailyCounts, row: int, usable: Flags) -> Iterator[Floats]:
    """Yield the level that each day gives: the traffic of others, then that of the nearest subjects."""
    own = data.counts[row]
    yield np.where(data.traffic - own > 0, data.traffic - own, np.nan)
    peers = _peers(data, row, usable)
    if peers is not None:
        yield peers


def _peers(data: DailyCounts, row: int, usable: Flags) -> Floats | None:
    """Return the level of the subjects whose counts go with those of a row most closely; None where there are few."""
    logs = np.log(data.counts + 0.5)
    logs = np.where(usable & (data.counts > 0), logs, np.nan)
    differences = logs[row] - logs
    centres = _median(differences)
    scales = _median(np.abs(differences - centres[:, None]))
    enough = (np.sum(~np.isnan(differences), axis=1) >= FEWEST_DAYS) & (
        _median(np.where(usable, data.counts, np.nan)) >= FEWEST_EXPECTED
    )
    enough[row] = False
    nearest = [int(each) for each in np.argsort(np.where(enough, scales, np.inf)) if enough[each]][:_PEERS]
    if len(nearest) < _PEERS:
        return None
    every = np.log(data.counts[nearest] + 0.5)
    usual = _median(np.where(usable[nearest], every, np.nan))
    level: Floats = np.exp(_median((every - usual[:, None]).T) + usual.mean())
    return level


@dataclass(frozen=True)
class _Baseline:
    """What windows of days are held against: for each window (row) the expectation of its days, and the noise."""

    expected: Floats
    variance: Floats
    noise: Floats
    days: Floats
    correlation: Floats


def _baseline(logs: Floats, level: Floats, weekdays: NDArray[np.int64], counts: Floats, left_out: Flags) -> _Baseline:
    """Return the baseline of each window: `left_out` has a row for each, true on the days that do not count."""
    rows = np.where(left_out, np.nan, logs)
    centre = _median(rows)
    residuals = rows - centre[:, None]
    days = np.sum(~np.isnan(residuals), axis=1).astype(np.float64)
    weekly = np.zeros_like(rows)
    scale = _MAD * _median(np.abs(residuals))
    long_enough = days >= _WEEKLY_FROM_DAYS
    if long_enough.any():
        effects = np.zeros((len(rows), 7))
        errors = np.ones((len(rows), 7))
        for weekday in range(7):
            of_weekday = residuals[:, weekdays == weekday]
            n = np.sum(~np.isnan(of_weekday), axis=1)
            if of_weekday.shape[1]:
                effects[:, weekday] = np.where(n > 1, np.nan_to_num(_median(of_weekday)), 0.0)
            errors[:, weekday] = 1 / np.maximum(n, 1)
        # Effects are shrunk by how much of their spread chance explains (James and Stein, 1961).
        # The noise inside weekdays says how much that is.
        inside = _MAD * _median(np.abs(residuals - effects[:, weekdays]))
        chance = _MEDIAN_VARIANCE * (inside**2)[:, None] * errors
        spread = np.mean(effects**2, axis=1)[:, None]
        kept = np.maximum(spread - chance.mean(axis=1)[:, None], 0) / np.maximum(spread, 1e-12)
        effects = np.where(long_enough[:, None], effects * kept, 0.0)
        weekly = effects[:, weekdays]
        residuals = residuals - weekly
        again = _median(residuals)
        residuals, centre = residuals - again[:, None], centre + again
        scale = _MAD * _median(np.abs(residuals))
    # A median absolute deviation of few days is uncertain (its relative error is 0.83 / √n): one error more is taken.
    scale = scale * (1 + 0.83 / np.sqrt(np.maximum(days, 1)))
    expected = np.exp(centre[:, None] + weekly) * level
    typical = np.maximum(_median(np.where(left_out, np.nan, counts)), 0.5)
    # Half of what Poisson explains is taken out: all of it would turn an error of the scale into far too little noise
    # for days with much higher counts.
    noise = np.maximum(scale**2 - 0.5 / typical, _NOISE_FLOOR**2)
    return _Baseline(expected, scale**2, noise, days, _correlation(residuals))


def _correlation(residuals: Floats) -> Floats:
    """Return the correlation of neighbouring days of each row, by signs, which outliers cannot move (0 to 0.8).

    For a normal distribution the correlation is sin(π/2 · mean product of signs) (Blomqvist, 1950).
    """
    signs = np.sign(np.nan_to_num(residuals))
    products = signs[:, 1:] * signs[:, :-1]
    n = np.maximum(np.sum(products != 0, axis=1), 1)
    found: Floats = np.clip(np.sin(np.pi / 2 * (products.sum(axis=1) / n)), 0.0, 0.8)
    return found


def _runs_of(
    data: DailyCounts,
    row: int,
    incidents: Flags,
    *,
    limits: Limits,
    threshold: float,
    segments: Sequence[tuple[int, int]],
) -> list[OutlyingRun]:
    """Return the candidates of a subject, the least likely first."""
    counts = data.counts[row]
    active = _active(counts)
    usable = np.array([_active(each) for each in data.counts]) & ~incidents & data.is_over
    candidates: list[OutlyingRun] = []
    references = list(_references(data, row, usable))
    for begin, end in segments:
        inside = np.zeros(len(counts), dtype=bool)
        inside[begin:end] = True
        roughly = _expected_roughly(data, counts, references[0], ~(usable[row] & inside))
        for length in range(1, LONGEST_RUN + 1):
            starts = [
                start
                for start in range(begin, end - length + 1)
                if active[start : start + length].all()
                and not incidents[row, start : start + length].any()
                and _is_odd(counts[start : start + length], roughly[start : start + length], limits)
            ]
            if not starts:
                continue
            windows = np.zeros((len(starts), len(counts)), dtype=bool)
            for place, start in enumerate(starts):
                windows[place, start : start + length] = True
            seen = np.array([counts[start : start + length].sum() for start in starts])
            left_out = ~(usable[row] & inside) | windows
            judged = [_judged(data, counts, level, windows=windows, left_out=left_out) for level in references]
            for place, start in enumerate(starts):
                held = [each[place] for each in judged]
                run = _told(
                    data, row, start, length, seen=int(seen[place]), held=held, limits=limits, threshold=threshold
                )
                if run is not None:
                    candidates.append(run)
    return sorted(candidates, key=lambda run: (run.kind != "missing", run.p_value, -run.expected))


def _expected_roughly(data: DailyCounts, counts: Floats, level: Floats, left_out: Flags) -> Floats:
    """Return what each day lets one expect, by a baseline that leaves out no window."""
    base = _baseline(_logs(counts, level), level, data.weekdays, counts, left_out[None, :])
    expected: Floats = base.expected[0]
    return expected


def _is_odd(counts: Floats, roughly: Floats, limits: Limits) -> bool:
    """Return whether days are worth a baseline of their own: they go at least half the way to what is told."""
    seen, expected = float(counts.sum()), float(roughly.sum())
    return not expected > 0 or not math.sqrt(limits.low) < seen / expected < math.sqrt(limits.high)


def _logs(counts: Floats, level: Floats) -> Floats:
    found: Floats = np.where(level > 0, np.log((counts + 0.5) / np.where(level > 0, level, 1.0)), np.nan)
    return found


@dataclass(frozen=True)
class _Held:
    """A window held against one reference."""

    expected: float
    overdispersion: float
    log_error: float
    days: float
    daily: tuple[float, ...]


def _judged(data: DailyCounts, counts: Floats, level: Floats, *, windows: Flags, left_out: Flags) -> list[_Held]:
    length = int(windows[0].sum())
    base = _baseline(_logs(counts, level), level, data.weekdays, counts, left_out)
    held = []
    for place in range(len(windows)):
        daily = base.expected[place][windows[place]]
        total = float(daily.sum())
        if not total > 0:
            held.append(_Held(0.0, 0.0, 1.0, 0.0, ()))
            continue
        independent = float((daily**2).sum()) / total**2
        lags = sum(2 * (1 - lag / length) * base.correlation[place] ** lag for lag in range(1, length))
        of_baseline = _MEDIAN_VARIANCE * base.variance[place] / max(base.days[place], 1.0)
        overdispersion = float(base.noise[place] * independent * (1 + lags) + of_baseline)
        held.append(
            _Held(
                total,
                overdispersion,
                math.sqrt(overdispersion + 1 / total),
                float(base.days[place]),
                tuple(float(each) for each in daily),
            )
        )
    return held


def _told(
    data: DailyCounts,
    row: int,
    start: int,
    length: int,
    *,
    seen: int,
    held: Sequence[_Held],
    limits: Limits,
    threshold: float,
) -> OutlyingRun | None:
    own = held[0]
    if own.expected < limits.fewest_expected or own.days < FEWEST_DAYS:
        return None
    kind: Kind
    if seen == 0:
        kind, p_value = "missing", lower_tail(0, own.expected, own.overdispersion)
        # Nothing at all is not noise of a rate: chance leaves none only where few are expected.
        if p_value >= max(threshold, 1e-5):
            return None
    else:
        if not data.is_over[start : start + length].all():
            return None
        ratios = [seen / each.expected for each in held if each.expected > 0]
        if all(each <= limits.low for each in ratios):
            kind, p_value = "low", max(_low(seen, each) for each in held)
        elif all(each >= limits.high for each in ratios):
            kind, p_value = "high", max(_high(seen, each) for each in held)
        else:
            return None
        if p_value >= threshold:
            return None
    return OutlyingRun(data.subjects[row], start, start + length - 1, kind, seen, own.expected, p_value, own.daily)


def _low(seen: int, held: _Held) -> float:
    if held.expected <= 0:
        return 1.0
    z = math.log((seen + 0.5) / held.expected) / held.log_error
    return max(lower_tail(seen, held.expected, held.overdispersion), NormalDist().cdf(z))


def _high(seen: int, held: _Held) -> float:
    if held.expected <= 0:
        return 1.0
    z = math.log(max(seen - 0.5, 0.5) / held.expected) / held.log_error
    return max(upper_tail(seen, held.expected, held.overdispersion), NormalDist().cdf(-z))


@dataclass(frozen=True)
class LevelShift:
    """A change that lasts: from a day on, the share of a subject is another one.

    Attributes:
        subject: What is counted.
        first: Index of the first day of the new level.
        last: Index of its last day.
        factor: The new level, divided by the one before.
        before: The usual level before: a share of the traffic, or the ratio of two counts.
        after: The usual level since.
        z: The difference in standard errors.
    """

    subject: str
    first: int
    last: int
    factor: float
    before: float
    after: float
    z: float


SHORTEST_LEVEL = LONGEST_RUN + 1
"""Days that a level must last."""


def level_shifts(
    data: DailyCounts,
    limits: Limits = Limits(),
    incidents: Sequence[OutlyingRun] = (),
) -> tuple[LevelShift, ...]:
    """Return the days from which a subject's level is another one, and stays so for 8 days at least.

    Circular binary segmentation (Olshen and others, 2004): the stretch of days that differs most from all others is cut
    out, and the parts are looked at again. A cut is kept where the medians beside it differ by the factor `shift` and
    by enough standard errors for all subjects and days (Bonferroni), where both references show it, and where the days
    right beside it show it too, which a slow drift does not.

    Args:
        data: Counts.
        limits: From when a change is told.
        incidents: Runs that are known; their days are left out, unless they follow each other for more than a week.
    """
    found: list[LevelShift] = []
    tests = max(len(data.subjects) * len(data.days), 1)
    least_z = -NormalDist().inv_cdf(limits.false_alarms / tests / 2)
    usable = np.array([_active(each) for each in data.counts]) & data.is_over & ~_short_incidents(data, incidents)
    for row, subject in enumerate(data.subjects):
        counts = data.counts[row]
        days = np.flatnonzero(usable[row])
        if len(days) < 2 * SHORTEST_LEVEL or float(np.median(counts[days])) < limits.fewest_expected:
            continue
        levels = list(_references(data, row, usable))
        series = [np.log((counts[days] + 0.5) / np.where(level[days] > 0, level[days], np.nan)) for level in levels]
        if any(np.isnan(each).any() for each in series):
            continue
        series = [_without_week(each, data.weekdays[days]) for each in series]
        noises = [float(np.median(counts[days]))] * len(series)
        cuts = [0, *_cuts(series, noises, math.log(limits.shift), least_z), len(days)]
        for left, cut, right in zip(cuts, cuts[1:], cuts[2:], strict=False):
            change = [_change(each, left, cut, right, noise) for each, noise in zip(series, noises, strict=True)]
            before, after = float(np.median(series[0][left:cut])), float(np.median(series[0][cut:right]))
            # Traffic counts what is not the subject; people read shares of all.
            found.append(
                LevelShift(
                    subject,
                    int(days[cut]),
                    int(days[right - 1]),
                    math.exp(after - before),
                    math.exp(before),
                    math.exp(after),
                    min(abs(z) for _, z in change),
                )
            )
    return tuple(found)


def _short_incidents(data: DailyCounts, incidents: Sequence[OutlyingRun]) -> Flags:
    """Return the days of incidents, without those that lasted longer than a run may."""
    marked = np.zeros(data.counts.shape, dtype=bool)
    for each in incidents:
        marked[data.subjects.index(each.subject), each.first : each.last + 1] = True
    for row in marked:
        days = np.flatnonzero(row)
        # A day or two between that escaped notice part nothing.
        for stretch in np.split(days, np.flatnonzero(np.diff(days) > _BRIDGED_DAYS) + 1):
            if len(stretch) and stretch[-1] - stretch[0] >= LONGEST_RUN:
                row[stretch] = False
    return marked


@dataclass(frozen=True)
class Judgement:
    """What is wrong with daily counts."""

    runs: tuple[OutlyingRun, ...]
    shifts: tuple[LevelShift, ...]


def judge(data: DailyCounts, limits: Limits = Limits()) -> Judgement:
    """Return the runs that stand out and the changes of level, neither taken for the other.

    Runs are looked for once without levels, so that they move none, and again with each day held against its own level.
    Days at either end that have the level beyond the nearest change are too few for a level of their own: no runs.
    """
    shifts = level_shifts(data, limits, outlying_runs(data, limits))
    runs = outlying_runs(data, limits, shifts)
    return Judgement(tuple(run for run in runs if not _is_back(run, shifts, len(data.days))), shifts)


def _is_back(run: OutlyingRun, shifts: Sequence[LevelShift], days: int) -> bool:
    own = [each for each in shifts if each.subject == run.subject]
    if not own or run.seen == 0:
        return False
    other = [
        *([run.expected / own[-1].factor] if run.last == days - 1 and run.first >= own[-1].first else []),
        *([run.expected * own[0].factor] if run.first == 0 and run.last < own[0].first else []),
    ]
    return any(1 / _SAME_LEVEL < run.seen / each < _SAME_LEVEL for each in other)


def ratio_shifts(
    subject: str,
    days: Sequence[date],
    ratios: Sequence[float],
    sizes: Sequence[float],
    limits: Limits = Limits(),
) -> tuple[LevelShift, ...]:
    """Return the days from which a ratio of two daily counts is another one; the rule is that of `level_shifts`.

    Args:
        subject: What the ratio is called.
        days: The days.
        ratios: The ratio of each day, above 0.
        sizes: The smaller count of each day.
        limits: From when a change is told.
    """
    if len(days) < 2 * SHORTEST_LEVEL:
        return ()
    usable = range(len(days))
    series = [np.log(np.asarray(ratios, dtype=np.float64))]
    noise = float(np.median(np.asarray(sizes))) / 2
    least_z = -NormalDist().inv_cdf(limits.false_alarms / max(len(days), 1) / 2)
    cuts = [0, *_cuts(series, [noise], math.log(limits.shift), least_z), len(days)]
    return tuple(
        LevelShift(
            subject,
            int(usable[cut]),
            int(usable[right - 1]),
            math.exp(float(np.median(series[0][cut:right]) - np.median(series[0][left:cut]))),
            math.exp(float(np.median(series[0][left:cut]))),
            math.exp(float(np.median(series[0][cut:right]))),
            abs(_change(series[0], left, cut, right, noise)[1]),
        )
        for left, cut, right in zip(cuts, cuts[1:], cuts[2:], strict=False)
    )


def _without_week(series: Floats, weekdays: NDArray[np.int64]) -> Floats:
    """Take the pattern of the week out, as far as it shows against the days around (three weeks at least)."""
    if len(series) < _WEEKLY_FROM_DAYS:
        return series
    # Against a median of the seven days around, a change of level is none, and each weekday is in it once.
    around = np.array([np.median(series[max(0, i - 3) : i + 4]) for i in range(len(series))])
    local = series - around
    effects = np.array([np.median(local[weekdays == day]) if (weekdays == day).any() else 0.0 for day in range(7)])
    inside = _MAD * float(np.median(np.abs(local - effects[weekdays])))
    spread = float(np.mean(effects**2))
    chance = _MEDIAN_VARIANCE * inside**2 * 7 / len(series)
    kept = max(spread - chance, 0.0) / max(spread, 1e-12)
    result: Floats = series - kept * effects[weekdays]
    return result


def _cuts(series: Sequence[Floats], sizes: Sequence[float], least: float, least_z: float) -> list[int]:
    """Return where the series change their level: found from above, and each holds between its neighbours."""
    length = len(series[0])
    cuts: list[int] = []
    open_parts = [(0, length)]
    while open_parts:
        begin, end = open_parts.pop()
        if end - begin < 2 * SHORTEST_LEVEL:
            continue
        first, last = _standing_out(series[0][begin:end])
        inner = sorted({begin + first, begin + last} - {begin, end})
        bounds = [begin, *inner, end]
        held = [
            cut
            for left, cut, right in zip(bounds, bounds[1:], bounds[2:], strict=False)
            if _holds(series, sizes, (left, cut, right), least=least, least_z=least_z, is_mixed=True)
        ]
        cuts += held
        bounds = [begin, *held, end]
        if held:
            open_parts += pairwise(bounds)
    # Found with the levels beside mixed: each must hold between its neighbours, or the weakest goes.
    kept = sorted(cuts)
    while kept:
        bounds = [0, *kept, length]
        parts = list(zip(bounds, bounds[1:], bounds[2:], strict=False))
        failing = [part for part in parts if not _holds(series, sizes, part, least=least, least_z=least_z)]
        if not failing:
            break
        weakest = min(failing, key=lambda part: abs(_change(series[0], part[0], part[1], part[2], sizes[0])[1]))
        kept.remove(weakest[1])
    bounds = [0, *kept, length]
    return [_nearest(series[0], part) for part in zip(bounds, bounds[1:], bounds[2:], strict=False)]


def _nearest(values: Floats, bounds: tuple[int, int, int]) -> int:
    """Return the day, at most three away from a cut, that parts the days nearest to either of the levels beside it."""
    left, cut, right = bounds
    before, after = float(np.median(values[left:cut])), float(np.median(values[cut:right]))
    # What a day costs more where it belongs to the level after than to the one before.
    costs = np.abs(values[left:right] - after) - np.abs(values[left:right] - before)
    near = range(max(cut - 3, left + SHORTEST_LEVEL), min(cut + 3, right - SHORTEST_LEVEL) + 1)
    return min(near, key=lambda day: (float(costs[day - left :].sum()), abs(day - cut)), default=cut)


def _standing_out(part: Floats) -> tuple[int, int]:
    """Return the stretch of at least 8 days, and as many or none beside it, whose mean differs most from the others'.

    Values are clipped at three robust deviations of neighbouring days, so that no single day makes a stretch.
    """
    noise = max(_MAD * float(np.median(np.abs(np.diff(part)))) / math.sqrt(2), _NOISE_FLOOR)
    centre = float(np.median(part))
    sums = np.concatenate([[0.0], np.cumsum(np.clip(part, centre - 3 * noise, centre + 3 * noise))])
    n = len(part)
    first, last = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
    inside = last - first
    fits = (inside >= SHORTEST_LEVEL) & (n - inside >= SHORTEST_LEVEL)
    fits &= ((first == 0) | (first >= SHORTEST_LEVEL)) & ((last == n) | (n - last >= SHORTEST_LEVEL))
    inside = np.where(fits, inside, 1)
    outside = np.where(fits, n - inside, 1)
    within = sums[last] - sums[first]
    difference = within / inside - (sums[-1] - within) / outside
    strength = np.where(fits, np.abs(difference) / np.sqrt(1 / inside + 1 / outside), -1.0)
    best = np.unravel_index(int(np.argmax(strength)), strength.shape)
    return int(best[0]), int(best[1])


def _holds(
    series: Sequence[Floats],
    sizes: Sequence[float],
    bounds: tuple[int, int, int],
    *,
    least: float,
    least_z: float,
    is_mixed: bool = False,
) -> bool:
    left, cut, right = bounds
    changes = [
        _change(each, left, cut, right, size, is_mixed=is_mixed) for each, size in zip(series, sizes, strict=True)
    ]
    beside = [
        float(
            np.median(each[cut : min(cut + LONGEST_RUN, right)]) - np.median(each[max(cut - LONGEST_RUN, left) : cut])
        )
        for each in series
    ]
    same_sign = len({math.copysign(1, change) for change, _ in changes}) == 1
    return same_sign and all(
        abs(change) >= least and abs(z) >= least_z and step * math.copysign(1, change) >= least / 2 + abs(change) / 4
        for (change, z), step in zip(changes, beside, strict=True)
    )


def _change(
    values: Floats, left: int, cut: int, right: int, size: float, *, is_mixed: bool = False
) -> tuple[float, float]:
    """Return the difference of the medians beside a cut, and that in standard errors.

    Where levels may still be mixed beside it, the noise is that of neighbouring days.
    """
    before, after = values[left:cut], values[cut:right]
    change = float(np.median(after) - np.median(before))
    residuals = np.concatenate([before - np.median(before), after - np.median(after)])
    n = len(residuals)
    if is_mixed:
        scale, correlation = _MAD * float(np.median(np.abs(np.diff(values[left:right])))) / math.sqrt(2), 0.0
    else:
        scale = _MAD * float(np.median(np.abs(residuals))) * (1 + 0.83 / math.sqrt(n))
        correlation = float(_correlation(residuals[None, :])[0])
    scale = max(scale, math.sqrt(_NOISE_FLOOR**2 + 1 / size))
    inflation = (1 + correlation) / (1 - correlation)
    error = scale * math.sqrt(_MEDIAN_VARIANCE * inflation * (1 / len(before) + 1 / len(after)))
    return change, change / error
