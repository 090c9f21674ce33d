"""Where GA4 shows other figures than the export, and why: each cause leaves marks of its own.

First it is asked what GA4 would show if it counted otherwise (with the copies that staging removed, without events
lacking consent, by the days of another zone): where that is what it shows, the cause is proved. Then come marks that
the export or GA4 left (a day staged too early or cut off, rows withheld or rolled into one), and last the form of the
gap (a constant share of one event). What is left is unexplained.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal, get_args

from microconv import wording
from microconv.audit.reconciliation.export_figures import ExportDay, ExportFigures, ExportSide
from microconv.audit.reconciliation.ga4_reports import (
    ACTIVE_USERS,
    EVENTS,
    OTHER_ROW,
    PAGE_VIEWS,
    REVENUE,
    SESSIONS,
    TRANSACTIONS,
    USERS,
    Ga4Side,
)
from microconv.stats import cardinality

Cause = Literal[
    "time_zone",
    "currency",
    "cap",
    "late",
    "filter",
    "consent",
    "duplicates",
    "thresholding",
    "other_row",
    "sampling",
    "attribution",
    "unexplained",
]
"""Why a figure of GA4 differs, the one that must be acted on first."""
CAUSES: tuple[Cause, ...] = get_args(Cause)

COUNT_TOLERANCE = 0.005
"""Share by which counts, which GA4 does not estimate, may differ; and money, for rounding."""
REST = 0.2
"""Share of a gap that a cause may leave: two causes meet, and figures are estimates."""
CONSISTENT = 0.6
"""Share of the days that tell a way of counting by which it must be: GA4 counts all days alike, until set otherwise."""
RUN = 3
"""Days in a row that show a way of counting, where it was set otherwise within the period."""
CONSTANT = 0.25
"""Relative deviation up to which a share is constant over days."""
MOST_WITHHELD_USERS = 100
"""Rows with more users are not withheld by thresholding."""
MATERIAL = 0.005
"""Share of a day's events from which a gap of one event is told."""
SHIFTED = 0.001
"""Share of all events from which days may have taken them from each other."""
MOST_HOURS = 14
"""How far zones are tried that nobody names."""
MIN_FILTER_DAYS = 4
MOST_FILTERED = 0.5
"""Share of all events up to which a filter may take them; a larger one is another property."""
MIN_ROW = 10
"""Events of a day under which a share says nothing."""

_ESTIMATED = {
    SESSIONS: cardinality.SESSION_PRECISION,
    USERS: cardinality.USER_PRECISION,
    ACTIVE_USERS: cardinality.USER_PRECISION,
}

_PURCHASES = ("purchase", "ecommerce_purchase", "in_app_purchase", "app_store_subscription_convert")
_COUNTED = {PAGE_VIEWS: ("page_view", "screen_view"), TRANSACTIONS: _PURCHASES, REVENUE: _PURCHASES}
"""The events that a figure counts."""
_COLUMNS = {
    EVENTS: "events",
    SESSIONS: "sessions",
    ACTIVE_USERS: "active_users",
    PAGE_VIEWS: "page_views",
    TRANSACTIONS: "transactions",
    REVENUE: "revenue",
}


@dataclass(frozen=True)
class Cell:
    """A figure of a day (or of an event on a day, or a part of the period) that differs."""

    metric: str
    day: date | None
    ours: float
    theirs: float
    part: str = ""

    @property
    def gap(self) -> float:
        """What GA4 shows more."""
        return self.theirs - self.ours


@dataclass(frozen=True)
class Gap:
    """What GA4 shows otherwise by one cause: the cells, the largest first."""

    cause: Cause
    cells: tuple[Cell, ...]
    detail: str = ""

    @property
    def days(self) -> tuple[date, ...]:
        """The days concerned."""
        return tuple(sorted({each.day for each in self.cells if each.day is not None}))

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics concerned, those with most cells first."""
        counted = [each.metric for each in self.cells]
        return tuple(sorted(set(counted), key=lambda metric: (-counted.count(metric), metric)))

    @property
    def parts(self) -> tuple[str, ...]:
        """Events, countries or channels concerned, those with the largest gap first."""
        size: dict[str, float] = defaultdict(float)
        for each in self.cells:
            if each.part:
                size[each.part] += abs(each.gap)
        return tuple(sorted(size, key=lambda part: (-size[part], part)))


def allowed(metric: str, ours: float, theirs: float) -> float:
    """Return by how much a figure may differ without a cause."""
    largest = max(abs(ours), abs(theirs))
    precision = _ESTIMATED.get(metric)
    if precision is not None:
        return cardinality.tolerance(largest, precision)
    return 1.0 + COUNT_TOLERANCE * largest


def figure(figures: ExportFigures, metric: str, theirs: float) -> float:
    """Return the figure of the export that stands beside a metric of GA4.

    Whether GA4 takes all clients of a user id for one user depends on a setting, and whether it counts purchases
    without a value on how they were sent: of both counts, that which is nearer.
    """
    if metric == TRANSACTIONS:
        counts = (figures.transactions, figures.transactions + figures.valueless_transactions)
        return float(min(counts, key=lambda count: abs(theirs - count)))
    if metric == USERS:
        low, high = sorted((figures.users, figures.users_by_id))
        return min(max(theirs, low), high)
    return float(getattr(figures, _COLUMNS[metric]))


def explain(export: ExportSide, ga4: Ga4Side) -> tuple[Gap, ...]:
    """Return the gaps, each with its cause, in the order of the causes."""
    return _Explanation(export, ga4).gaps()


@dataclass
class _Explanation:
    export: ExportSide
    ga4: Ga4Side
    found: dict[tuple[Cause, str], list[Cell]] = field(default_factory=lambda: defaultdict(list))
    cause_of_day: dict[date, tuple[Cause, str]] = field(default_factory=dict)
    """Why the events of a day differ."""

    def gaps(self) -> tuple[Gap, ...]:
        self.days = self.ga4.days
        self.shown_events = self.ga4.events or {}
        self.names: dict[date, set[str]] = defaultdict(set)
        for day, name in (*self.export.events, *self.shown_events):
            self.names[day].add(name)
        self._events_of_days()
        self._events_by_name()
        self._estimates()
        self._money()
        self._whole_period()
        self._parts()
        if self.ga4.sampled_share < 1:
            self._blame_sampling()
        gaps = [
            Gap(cause, tuple(sorted(cells, key=lambda each: -abs(each.gap))), detail)
            for (cause, detail), cells in self.found.items()
        ]
        return tuple(sorted(gaps, key=lambda gap: CAUSES.index(gap.cause)))

    # Events by day.

    def _events_of_days(self) -> None:
        expected = {day: float(each.figures.events) for day, each in self.export.days.items()}
        shown = {day: self.days.get(day, {}).get(EVENTS, 0.0) for day in expected}
        off = {day for day in expected if _is_off(EVENTS, expected[day], shown[day])}
        if zone := self._zone(expected, shown):
            self._blame("time_zone", EVENTS, off, zone)
            self.cause_of_day |= dict.fromkeys(expected, ("time_zone", zone))
            return
        missing = {day for day in off if day not in self.days and self.ga4.is_thresholded("days")}
        self._blame("thresholding", EVENTS, missing)
        off -= missing
        off = self._counted_otherwise(expected, shown, off)
        marked = {day: cause for day in off if (cause := self._mark(self.export.days[day], shown[day] - expected[day]))}
        filtered = self._forms(expected, shown, off - marked.keys(), marked.keys())
        for day in marked.keys() - filtered:
            self._blame(marked[day], EVENTS, {day})

    def _counted_otherwise(self, expected: dict[date, float], shown: Mapping[date, float], off: set[date]) -> set[date]:
        """Blame ways of counting that explain days; `expected` becomes what they let expect. Return what is left."""
        ways: dict[Cause, Callable[[ExportDay], float]] = {
            "duplicates": lambda day: float(day.copies),
            "consent": lambda day: -float(day.figures.consentless_events),
            "filter": lambda day: -float(day.figures.internal_events),
        }
        for _ in range(len(ways)):
            explained = {
                cause: _explained({day: way(each) for day, each in self.export.days.items()}, expected, shown)
                for cause, way in ways.items()
            }
            if self._sessions_follow(explained.get("consent", ())):
                del ways["consent"], explained["consent"]  # who has no consent has no session on either side
            cause = max(explained, key=lambda each: len(explained[each] & off), default=None)
            if cause is None or not explained[cause] & off:
                break
            way = ways.pop(cause)
            blamed = explained[cause] & off
            self._blame(cause, EVENTS, blamed)
            for day in explained[cause]:
                expected[day] += way(self.export.days[day])
            off = {
                day
                for day in off
                if _is_off(EVENTS, expected[day], shown[day])
                and (day not in blamed or abs(shown[day] - expected[day]) > REST * abs(way(self.export.days[day])))
            }
            if not off:
                break
        return off

    def _sessions_follow(self, days: Collection[date]) -> bool:
        """Tell whether GA4 lacks sessions of these days as it lacks events."""
        if not days:
            return False
        lost = []
        for day in days:
            events, sessions = self._day_cell(EVENTS, day), self._day_cell(SESSIONS, day)
            if events.gap and sessions.ours:
                lost.append((sessions.gap / sessions.ours) / (events.gap / max(events.ours, 1.0)))
        return bool(lost) and statistics.median(lost) > 0.5  # noqa: PLR2004 - nearer to the share of events than to none

    def _zone(self, expected: Mapping[date, float], shown: Mapping[date, float]) -> str | None:
        """Return the zone by whose days GA4 counts, where it is another one.

        Days that take events from each other differ, and their sum does not; by the right zone, none differs.
        """
        inner = sorted(expected)[1:-1]  # of the outermost days, the neighbours may not be staged
        gaps = [shown[day] - expected[day] for day in inner]
        size = sum(map(abs, gaps))
        if len(inner) < RUN or size <= SHIFTED * sum(shown[day] for day in inner):
            return None
        ours = self.export.timezone
        candidates = {self.ga4.timezone: (self.ga4.timezone, 0)} if self.ga4.timezone not in ("", ours) else {}
        if abs(sum(gaps)) < CONSTANT * size:
            candidates["UTC"] = ("UTC", 0)
            for hours in (*range(-MOST_HOURS, 0), *range(1, MOST_HOURS + 1)):
                side = "ahead of" if hours > 0 else "behind"
                candidates[f"a zone {wording.plural(abs(hours), 'hour')} {side} {ours}"] = (ours, hours)
        left = {}
        for words, (zone, hours) in candidates.items():
            counted = self.export.events_in(zone, hours)
            left[words] = sum(abs(shown[day] - counted.get(day, 0)) for day in inner)
        best = min(left, key=lambda words: left[words], default=None)
        return best if best is not None and left[best] <= REST * size else None

    def _mark(self, day: ExportDay, gap: float) -> Cause | None:
        if gap <= 0:
            return None
        if day.is_at_cap:
            return "cap"
        return None if day.is_final else "late"

    def _forms(
        self,
        expected: Mapping[date, float],
        shown: Mapping[date, float],
        off: Collection[date],
        marked: Collection[date],
    ) -> set[date]:
        """Blame a filter for a constant share, of some events or of all, and copies for a whole multiple.

        Return the days of those that another cause left its mark on which the filter explains as well.
        """
        if not off:
            return set()
        if names := self._filtered_events(expected, shown, off):
            also = {day for day in marked if self._rest([day], names, expected, shown) <= REST}
            for day in {*off, *also}:
                self._note("filter", *(self._event_cell(day, name) for name in names))
                self.cause_of_day[day] = ("filter", "")
            return also
        multiples = {day for day in off if shown[day] and _is_multiple(expected[day] / shown[day])}
        self._blame("duplicates", EVENTS, multiples)
        off = set(off) - multiples
        shares = {day: (shown[day] - expected[day]) / max(expected[day], shown[day]) for day in {*off, *marked}}
        of_off = [shares[day] for day in off]
        usual = statistics.fmean(of_off) if of_off else 0.0
        is_lasting = len(off) >= MIN_FILTER_DAYS and _is_run(off, self.export.days)
        if is_lasting and _is_constant(of_off) and abs(usual) <= MOST_FILTERED:
            also = {day for day in marked if abs(shares[day] - usual) <= 2 * CONSTANT * abs(usual)}
            self._blame("filter", EVENTS, {*off, *also})
            return also
        self._blame("unexplained", EVENTS, off)
        return set()

    def _rest(
        self,
        days: Collection[date],
        names: Collection[str],
        expected: Mapping[date, float],
        shown: Mapping[date, float],
    ) -> float:
        """Return the share of the gap of these days that is not of these events."""
        gaps = {day: shown[day] - expected[day] for day in days}
        rest = [gap - sum(self._event_cell(day, name).gap for name in names) for day, gap in gaps.items()]
        return sum(map(abs, rest)) / sum(map(abs, gaps.values()))

    def _filtered_events(
        self, expected: Mapping[date, float], shown: Mapping[date, float], off: Collection[date]
    ) -> tuple[str, ...]:
        """Return the events that the whole gap is of, where a constant share of them is missing on one side."""
        if self.ga4.events is None:
            return ()
        size: dict[str, float] = defaultdict(float)
        for day in off:
            for name in self.names[day]:
                size[name] += abs(self._event_cell(day, name).gap)
        ranked = sorted(size, key=lambda name: -size[name])
        most = max(1, len(ranked) // 4)
        for count in range(1, min(most, 3) + 1):
            names = ranked[:count]
            if self._rest(off, names, expected, shown) <= REST:
                return tuple(names) if all(self._is_filtered(name, off) for name in names) else ()
        return ()

    def _is_filtered(self, name: str, days: Collection[date]) -> bool:
        cells = [self._event_cell(day, name) for day in days]
        cells = [each for each in cells if max(each.ours, each.theirs) >= MIN_ROW]
        if not cells:
            return False
        shares = [each.gap / max(each.ours, each.theirs) for each in cells]
        is_whole = all(abs(each) == 1 for each in shares) and len({each > 0 for each in shares}) == 1
        return is_whole or (len(cells) >= RUN and _is_constant(shares))

    # Events by day and name: their day's total is as expected, or its cause is known.

    def _events_by_name(self) -> None:
        shown = self.ga4.events
        if shown is None:
            return
        plain = [day for day in self.export.days if day not in self.cause_of_day]
        thresholded, rolled = self.ga4.is_thresholded("events"), self.ga4.has_other_row("events")
        left: dict[str, list[Cell]] = defaultdict(list)
        for day in plain:
            every = [self._event_cell(day, name) for name in self.names[day] if name != OTHER_ROW]
            cells = [each for each in every if _is_off(EVENTS, each.ours, each.theirs)]
            other = shown.get((day, OTHER_ROW), 0.0)
            lacking = [each for each in cells if each.gap < 0]
            lost = -sum(each.gap for each in every if each.gap < 0)
            if (rolled or other) and lacking and abs(lost - other) <= allowed(EVENTS, lost, other) + REST * other:
                self._note("other_row", *lacking)
                cells = [each for each in cells if each.gap > 0]
            for cell in cells:
                users = self.export.events[day, cell.part].users if (day, cell.part) in self.export.events else 0
                if thresholded and cell.theirs == 0 and users <= MOST_WITHHELD_USERS:
                    self._note("thresholding", cell)
                elif cause := self._counted_otherwise_by_name(cell):
                    self._note(cause, cell)
                else:
                    left[cell.part].append(cell)
        for name, cells in left.items():
            self._filtered_or_unexplained(name, cells, plain)

    def _counted_otherwise_by_name(self, cell: Cell) -> Cause | None:
        """Tell whether GA4 leaves out as many of an event as lack consent, or counts its copies."""
        ours = self.export.events.get((cell.day, cell.part)) if cell.day is not None else None
        if ours is None:
            return None
        cause: Cause = "duplicates" if cell.gap > 0 else "consent"
        offset = ours.copies if cell.gap > 0 else ours.consentless_events
        return cause if offset and abs(abs(cell.gap) - offset) <= max(1.0, REST / 2 * offset) else None

    def _filtered_or_unexplained(self, name: str, cells: list[Cell], plain: Collection[date]) -> None:
        seen = [
            day for day in plain if max(self._event_cell(day, name).ours, self._event_cell(day, name).theirs) >= MIN_ROW
        ]
        days = {each.day for each in cells if each.day is not None}
        is_lasting = len(days) >= CONSISTENT * len(seen) or (len(days) >= RUN and _is_run(days, self.export.days))
        if len(days) >= RUN and is_lasting and self._is_filtered(name, days):
            self._note("filter", *cells)
            return
        material = [
            each
            for each in cells
            if each.day is not None and abs(each.gap) >= MATERIAL * self.export.days[each.day].figures.events
        ]
        self._note("unexplained", *material)

    def _event_cell(self, day: date, name: str) -> Cell:
        ours = self.export.events[day, name].events if (day, name) in self.export.events else 0
        return Cell(EVENTS, day, ours, self.shown_events.get((day, name), 0.0), name)

    # Sessions and users by day.

    def _estimates(self) -> None:
        left: dict[tuple[Cause, str], list[Cell]] = defaultdict(list)
        for metric in (SESSIONS, USERS, ACTIVE_USERS):
            if metric in self.ga4.restricted:
                continue
            for day in self.export.days:
                cell = self._day_cell(metric, day)
                if not _is_off(metric, cell.ours, cell.theirs):
                    continue
                cause, detail = self.cause_of_day.get(day, ("consent", ""))
                if cause in ("duplicates", "consent"):  # which change events alone
                    left[self._cause_of_estimate(cell, day), metric].append(cell)
                else:
                    self._note(cause, cell, detail=detail)
        for (cause, metric), cells in left.items():
            if _is_more_than_chance(metric, cells, len(self.export.days)):
                self._note(cause, *cells)

    def _cause_of_estimate(self, cell: Cell, day: date) -> Cause:
        ours = self.export.days[day]
        if cell.gap > 0 and _may_be_modelled(ours.figures, cell):
            return "consent"
        if cell.gap < 0 and self.ga4.is_thresholded("days") and cell.theirs <= MOST_WITHHELD_USERS:
            return "thresholding"
        return "late" if cell.gap > 0 and not ours.is_final else "unexplained"

    # Revenue and transactions.

    def _money(self) -> None:
        self._counts(PAGE_VIEWS)
        if REVENUE in self.ga4.restricted or TRANSACTIONS in self.ga4.restricted:
            return
        self._repeated_transactions()
        self._counts(TRANSACTIONS)
        cells = [self._day_cell(REVENUE, day) for day in self.export.days]
        off = [each for each in cells if _is_off(REVENUE, each.ours, each.theirs)]
        off = [
            each
            for each in off
            if not self._has(each, ("duplicates", "filter", "late", "cap"), TRANSACTIONS)
            and not self._has(each, ("duplicates",), REVENUE)
        ]
        if not off:
            return
        has_other_currency = bool(self.ga4.currency) and self.ga4.currency != self.export.currency
        ratios = [ratio for each in cells if (ratio := self._value_ratio(each))]
        is_rate = (
            len(ratios) >= RUN
            and len(off) >= CONSISTENT * len(ratios)
            and statistics.pstdev(ratios) <= CONSTANT * abs(statistics.fmean(ratios) - 1)
        )
        of_others = [each for each in off if self._foreign(each) and each.gap > 0]
        if has_other_currency or is_rate:
            self._note("currency", *off, detail=self.ga4.currency)
            return
        self._note("currency", *of_others, detail=self.ga4.currency)
        for cell in off:
            if cell not in of_others:
                self._note_day(cell)

    def _value_ratio(self, revenue: Cell) -> float | None:
        """Return how many times our revenue per transaction GA4's is: the rate, where a currency is the cause."""
        transactions = None if revenue.day is None else self._day_cell(TRANSACTIONS, revenue.day)
        if transactions is None or min(revenue.ours, revenue.theirs, transactions.ours, transactions.theirs) <= 0:
            return None
        return (revenue.theirs / transactions.theirs) / (revenue.ours / transactions.ours)

    def _foreign(self, cell: Cell) -> bool:
        return cell.day is not None and self.export.days[cell.day].figures.other_currency_rows > 0

    def _repeated_transactions(self) -> None:
        """Blame copies where GA4 counts each row of a transaction that came again."""
        figures = {day: each.figures for day, each in self.export.days.items()}
        offsets = {day: float(each.transaction_rows - each.transactions) for day, each in figures.items()}
        shown = {day: self.days.get(day, {}).get(TRANSACTIONS, 0.0) for day in figures}
        ours = {day: float(each.transactions) for day, each in figures.items()}
        with_all = {day: ours[day] + each.valueless_transactions for day, each in figures.items()}
        if sum(abs(shown[day] - with_all[day]) for day in ours) < sum(abs(shown[day] - ours[day]) for day in ours):
            ours = with_all
        blamed = {
            day
            for day in _explained(offsets, ours, shown)
            if self.cause_of_day.get(day, ("", ""))[0] not in ("time_zone", "late", "cap")
            and _is_off(TRANSACTIONS, ours[day], shown[day])
        }
        self._note("duplicates", *(self._day_cell(TRANSACTIONS, day) for day in blamed))
        revenue = {day: each.revenue for day, each in figures.items()}
        of_rows = {day: each.revenue_of_rows - each.revenue for day, each in figures.items()}
        paid = {day: self.days.get(day, {}).get(REVENUE, 0.0) for day in figures}
        for day in _explained(of_rows, revenue, paid):
            cell = self._day_cell(REVENUE, day)
            other = self.cause_of_day.get(day, ("", ""))[0] in ("time_zone", "late", "cap")
            if _is_off(REVENUE, cell.ours, cell.theirs) and not other:
                self._note("duplicates", cell)

    def _counts(self, metric: str) -> None:
        """Blame for a count of some events what the events of its day or their names are blamed for."""
        for day in self.export.days:
            cell = self._day_cell(metric, day)
            if _is_off(metric, cell.ours, cell.theirs) and not self._has(cell, CAUSES, metric):
                self._note_day(cell)

    def _note_day(self, cell: Cell) -> None:
        day = cell.day
        if day in self.cause_of_day:
            cause, detail = self.cause_of_day[day]
            self._note(cause, cell, detail=detail)
            return
        same_day = {
            cause for (cause, _), cells in self.found.items() for each in cells if each.day == day and each.part
        }
        if same_day & {"filter", "duplicates"}:
            self._note("filter" if "filter" in same_day else "duplicates", cell)
        elif day is not None and (marked := self._mark(self.export.days[day], cell.gap)):
            self._note(marked, cell)
        elif cell.gap < 0 and self._is_consentless_gap(cell):
            self._note("consent", cell)
        else:
            self._note("unexplained", cell)

    def _is_consentless_gap(self, cell: Cell) -> bool:
        """Tell whether the events that a figure counts lack consent so often that GA4 may leave out its gap."""
        names = _COUNTED.get(cell.metric, ())
        counted = [self.export.events[cell.day, name] for name in names if (cell.day, name) in self.export.events]  # type: ignore[index]  # of a day
        events = sum(each.events for each in counted)
        without = sum(each.consentless_events for each in counted)
        if cell.metric == REVENUE and events:  # which events are left out is known, what they are worth is not
            return without > 0 and -cell.gap <= 2 * without / events * cell.ours
        return abs(-cell.gap - without) <= max(1.0, REST * without) and without > 0

    def _has(self, cell: Cell, causes: Iterable[str], metric: str) -> bool:
        return any(
            cause in causes and any(each.day == cell.day and each.metric == metric for each in cells)
            for (cause, _), cells in self.found.items()
        )

    # The whole period, of which a small gap can be told that the single days hide.

    def _whole_period(self) -> None:
        for metric in (SESSIONS, USERS, ACTIVE_USERS):
            shown = self.ga4.period.get(metric)
            if shown is None or metric in self.ga4.restricted or self.cause_of_day:
                continue
            if any(each.metric == metric for cells in self.found.values() for each in cells):
                continue
            cell = Cell(metric, None, figure(self.export.period, metric, shown), shown)
            if _is_off(metric, cell.ours, cell.theirs):
                modelled = cell.gap > 0 and _may_be_modelled(self.export.period, cell)
                self._note("consent" if modelled else "unexplained", cell)

    # Countries and channels over the period.

    def _parts(self) -> None:
        self._countries()
        self._channels()

    def _countries(self) -> None:
        shown = self.ga4.parts("countries")
        if not shown or any(cause in ("time_zone", "late", "cap", "unexplained") for cause, _ in self.found):
            return  # what differs by day differs by country as well
        thresholded, rolled = self.ga4.is_thresholded("countries"), self.ga4.has_other_row("countries")
        for country, figures in self.export.countries.items():
            if country in shown or figures.events <= MIN_ROW:
                continue
            cell = Cell(EVENTS, None, figures.events, 0.0, country)
            if rolled or OTHER_ROW in shown:
                self._note("other_row", cell)
            elif thresholded and figures.users <= MOST_WITHHELD_USERS:
                self._note("thresholding", cell)

    def _channels(self) -> None:
        shown = self.ga4.parts("channels")
        if not shown or any(cause not in ("duplicates", "currency", "thresholding") for cause, _ in self.found):
            return
        if OTHER_ROW in shown or self.ga4.is_thresholded("channels"):
            return
        whole = sum(each.sessions for each in self.export.channels.values())
        for channel in sorted({*shown, *self.export.channels}):
            ours = self.export.channels[channel].sessions if channel in self.export.channels else 0
            theirs = shown.get(channel, {}).get(SESSIONS, 0.0)
            if abs(theirs - ours) > max(2 * allowed(SESSIONS, ours, theirs), 0.02 * whole):
                self._note("attribution", Cell(SESSIONS, None, ours, theirs, channel))

    # What they share.

    def _blame_sampling(self) -> None:
        cells = self.found.pop(("unexplained", ""), [])
        if cells:
            self.found["sampling", ""] = cells

    def _day_cell(self, metric: str, day: date) -> Cell:
        theirs = self.days.get(day, {}).get(metric, 0.0)
        return Cell(metric, day, figure(self.export.days[day].figures, metric, theirs), theirs)

    def _blame(self, cause: Cause, metric: str, days: Collection[date], detail: str = "") -> None:
        for day in sorted(days):
            self._note(cause, self._day_cell(metric, day), detail=detail)
            self.cause_of_day[day] = (cause, detail)

    def _note(self, cause: Cause, *cells: Cell, detail: str = "") -> None:
        if cells:
            self.found[cause, detail].extend(cells)


def _is_off(metric: str, ours: float, theirs: float) -> bool:
    return abs(theirs - ours) > allowed(metric, ours, theirs)


def _explained(offsets: Mapping[date, float], expected: Mapping[date, float], shown: Mapping[date, float]) -> set[date]:
    """Return the days on which GA4 shows what one expects with an offset, where it does so consistently.

    On most of the days on which the offset shows, or on some days in a row, since it was set otherwise.
    """
    telling = [
        day
        for day in sorted(offsets)
        if abs(offsets[day]) > allowed(EVENTS, expected[day], expected[day] + offsets[day])
    ]
    fit = {
        day
        for day in telling
        if abs(shown[day] - expected[day] - offsets[day])
        <= max(allowed(EVENTS, expected[day], shown[day]) / 2, REST / 2 * abs(offsets[day]))
    }
    if fit and len(fit) >= CONSISTENT * len(telling):
        # On days where another cause comes on top, the offset is there as well.
        return {
            day
            for day in telling
            if day in fit or abs(shown[day] - expected[day] - offsets[day]) < abs(shown[day] - expected[day])
        }
    in_runs = {day for run in _runs(telling, fit) if len(run) >= RUN for day in run}
    others = [day for day in telling if day not in in_runs]
    as_expected = sum(not _is_off(EVENTS, expected[day], shown[day]) for day in others)
    return in_runs if as_expected >= CONSISTENT * len(others) else set()


def _runs(telling: list[date], fit: Collection[date]) -> Iterator[list[date]]:
    run: list[date] = []
    for day in telling:
        if day in fit:
            run.append(day)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _is_more_than_chance(metric: str, cells: Collection[Cell], days: int) -> bool:
    """Tell whether estimates are off on so many days, or by so much, that chance does not explain it.

    Three standard errors are passed once in 370 days; with three figures of a month of days, that happens.
    """
    signs = [each.gap > 0 for each in cells]
    return any(abs(each.gap) > 2 * allowed(metric, each.ours, each.theirs) for each in cells) or max(
        signs.count(True), signs.count(False)
    ) >= max(RUN, days // 10)


def _is_run(days: Collection[date], all_days: Mapping[date, ExportDay]) -> bool:
    """Tell whether these are nearly all days between the first and the last of them."""
    between = [day for day in all_days if min(days) <= day <= max(days)]
    return len(days) >= 0.8 * len(between) and max(days) - min(days) >= timedelta(days=MIN_FILTER_DAYS - 1)


def _is_constant(shares: Collection[float]) -> bool:
    mean = statistics.fmean(shares)
    return statistics.pstdev(shares) <= max(CONSTANT * abs(mean), 1e-9)


def _is_multiple(ratio: float) -> bool:
    return round(ratio) in (2, 3) and abs(ratio - round(ratio)) <= 0.01 * ratio


def _may_be_modelled(figures: ExportFigures, cell: Cell) -> bool:
    """Tell whether GA4 may have modelled so many users or sessions for the events that lack consent."""
    consented = figures.events - figures.consentless_events
    if figures.consentless_events == 0 or consented <= 0:
        return False
    most = 2 * figures.consentless_events / consented * cell.ours
    return cell.gap <= most + allowed(cell.metric, cell.ours, cell.theirs)
