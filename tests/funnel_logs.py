"""Small logs of a few actors, and funnels counted over them by trying every path: what the SQL must equal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import combinations, permutations
from random import Random
from statistics import median
from typing import Any

from asking import CONFIG
from microconv.analyses.funnels.funnel import FunnelQuestion
from microconv.config.funnel_settings import FunnelConfig
from microconv.queries.templates import Query
from microconv.question import Context
from microconv.taxonomy import Taxonomy
from staged_rows import DAY, SECOND, START_US, Row, at, occurrence

ITEMS = "items_item_id"


@dataclass(frozen=True)
class Event:
    """One event of a log: when (microseconds), whose, and what it is; `items` are held values."""

    us: int
    client: int
    place: int
    session: int
    kinds: frozenset[str]
    is_page: bool = False
    items: tuple[str, ...] = ()
    page: str | None = None
    days: int = 0

    @property
    def order(self) -> int:
        """Its event_order; what an actor's clients do at one of these is simultaneous."""
        return (self.days * DAY + self.us) * 1_000 + self.place

    @property
    def at_us(self) -> int:
        return self.order // 1_000

    @property
    def is_doing(self) -> bool:
        """Whether it is a micro-conversion or a page view."""
        return bool(self.kinds) or self.is_page

    @property
    def date(self) -> date:
        return at(self.at_us).date()


Log = tuple[Event, ...]


def random_log(random: Random, *, clients: int = 2, longest: int = 9) -> Log:
    """An actor's events: few instants, so that ties, repeats and windows hit exactly are common."""
    places: dict[int, int] = defaultdict(int)
    events = []
    for _ in range(random.randint(0, longest)):
        client = random.randrange(clients)
        places[client] += 1
        events.append(
            Event(
                us=random.randint(0, 7),
                client=client,
                # Of one client no two events share a place; two clients of the actor do.
                place=places[client],
                session=random.randint(0, 1),
                # y is no step of any funnel; without a kind it is a page view, or something that does not matter.
                kinds=frozenset(random.sample("aabbccxy", random.choice((0, *(1,) * 8, 2, 2)))),
                is_page=random.random() < 0.7,
                items=tuple(sorted(random.sample("pq", random.choice((0, 1, 1, 2))))),
                page=random.choice((None, "/1", "/2")),
                days=random.choice((0, 0, 0, 1)),
            )
        )
    return tuple(events)


def rows_of(logs: list[Log]) -> list[Row]:
    """The rows of mc_micro_conversions, log number n being actor n; clients and sessions are an actor's own."""
    return [
        occurrence(
            event.at_us,
            kind,
            client=actor * 10 + event.client,
            place=event.place,
            actor_key=actor,
            session_key=actor * 10 + event.session,
            page=event.page,
            **{ITEMS: "\n".join(event.items) or None},
        )
        for actor, log in enumerate(logs)
        for event in log
        for kind in sorted(event.kinds)
    ]


def events_of(logs: list[Log]) -> list[Row]:
    """The rows of mc_events: of what is no micro-conversion."""
    return [
        {
            "property": "p",
            "event_date": event.date,
            "event_at": at(event.at_us),
            "event_order": START_US * 1_000 + event.order,
            "event_name": "page_view" if event.is_page else "scroll",
            "client_key": actor * 10 + event.client,
            "session_key": actor * 10 + event.session,
        }
        for actor, log in enumerate(logs)
        for event in log
        if not event.kinds
    ]


def sessions_of(logs: list[Log]) -> list[Row]:
    """The rows of mc_sessions."""
    return [
        {
            "session_key": actor * 10 + session,
            "actor_key": actor,
            "started_at": at(min(event.at_us for event in log if event.session == session)),
        }
        for actor, log in enumerate(logs)
        for session in sorted({event.session for event in log})
    ]


@dataclass(frozen=True)
class Path:
    """A way through a funnel: (event, step) for each step taken, in order."""

    taken: tuple[tuple[Event, int], ...]

    @property
    def entry(self) -> int:
        return self.taken[0][1]

    @property
    def start(self) -> Event:
        return self.taken[0][0]

    @property
    def last(self) -> Event:
        return self.taken[-1][0]

    @property
    def step(self) -> int:
        return self.taken[-1][1]

    @property
    def events(self) -> dict[int, Event]:
        """The event that took each step."""
        return {step: event for event, step in self.taken}

    @property
    def way(self) -> tuple[Any, ...]:
        """Where it begins and ends, and over which steps: what two ways share that differ in between alone."""
        return self.start.order, self.last.order, tuple(step for _, step in self.taken)

    @property
    def back(self) -> tuple[tuple[int, int], ...]:
        """The way back: of several paths the greater is the one that looked back no further than it had to."""
        return tuple((event.order, -step) for event, step in reversed(self.taken))

    @property
    def elapsed_us(self) -> int:
        return self.last.at_us - self.start.at_us


@dataclass(frozen=True)
class Rules:
    """A funnel, and what a test adds: a window in microseconds and the days of starts."""

    config: FunnelConfig
    window_us: int
    since: date | None = None
    until: date | None = None

    def query(
        self, kind: type[FunnelQuestion], taxonomy: Taxonomy, *, latest_at: datetime | None = None, **given: Any
    ) -> Query:
        """The query of a question about this funnel, with the window of the test and the latest staged event."""
        question = kind.over(self.config, {"since": self.since, "until": self.until, **given})
        context = Context(CONFIG, taxonomy)
        vars(context)["latest_event_at"] = latest_at  # looked up once
        (asked,) = question.queries(context)
        type_of_window, _ = asked.params["window_us"]
        return replace(asked, params={**asked.params, "window_us": (type_of_window, self.window_us)})

    def serves(self, event: Event) -> set[int]:
        """The steps that an event may take."""
        return {n for n, step in enumerate(self.config.steps, 1) if _meets(event, step)}

    def may_start(self, event: Event) -> bool:
        """Whether it lies on a day on which paths may begin."""
        return (self.since or event.date) <= event.date <= (self.until or event.date)

    def paths(self, events: list[Event], others: list[Event]) -> Iterator[Path]:
        """Every valid path through the events of a unit that hold one value, in order; `others` are all of the unit."""
        steps = [self.serves(event) for event in events]

        def longer(taken: tuple[tuple[int, int], ...]) -> Iterator[Path]:
            yield Path(tuple((events[index], step) for index, step in taken))
            for index in range(taken[-1][0] + 1, len(events)):
                for step in steps[index]:
                    if self._may_follow(events, others, taken, index, step):
                        yield from longer((*taken, (index, step)))

        for index, event in enumerate(events):
            if not self.may_start(event):
                continue
            for step in steps[index]:
                if step == 1 or self.config.entry == "open":
                    yield from longer(((index, step),))

    def _may_follow(
        self, events: list[Event], others: list[Event], taken: tuple[tuple[int, int], ...], index: int, step: int
    ) -> bool:
        (first, _), (before, step_before) = taken[0], taken[-1]
        skipped = self.config.steps[step_before : step - 1]
        if events[index].order == events[before].order or step <= step_before or not all(s.optional for s in skipped):
            return False
        measured_from = first if self.config.whole_window else before
        if events[index].at_us - events[measured_from].at_us > self.window_us:
            return False

        def between(some: list[Event]) -> list[Event]:
            return [event for event in some if events[before].order < event.order < events[index].order]

        may_come = {step} | {
            before for before in range(1, step) if all(each.optional for each in self.config.steps[before : step - 1])
        }
        # An event that may be read as a repeat of either step is one.
        own = [event for event in between(events) if self.serves(event) & may_come]
        rest = {
            "strict": [event for event in between(events) if self.serves(event) and event not in own],
            "immediate": [event for event in between(others) if event.is_doing and event not in own],
        }
        excluded = [
            event
            for place, exclusion in enumerate(self.config.exclude)
            for event in between(events)
            if self.between(place)[0] < step <= self.between(place)[1] and _meets(event, exclusion)
        ]
        return not rest.get(self.config.order) and not excluded

    def between(self, place: int) -> tuple[int, int]:
        """The steps between which the exclusion at a place may not come."""
        return self.config.exclude[place].between or (1, len(self.config.steps))

    def is_stopped(self, path: Path, events: list[Event]) -> bool:
        """Whether an exclusion comes while the way that ends here might go on."""
        since = path.start if self.config.whole_window else path.last
        return any(
            i <= path.step < j
            and any(
                _meets(event, exclusion)
                and event.order > path.last.order
                and event.at_us - since.at_us <= self.window_us
                for event in events
            )
            for place, exclusion in enumerate(self.config.exclude)
            for i, j in [self.between(place)]
        )


def _meets(event: Event, asked: Any) -> bool:
    return bool(event.kinds & set(asked.did)) and all(
        condition.property == "page" and event.page == condition.equals for condition in asked.where
    )


@dataclass(frozen=True)
class Taking:
    """An occurrence that takes a step, in the attempt that it belongs to.

    `firsts` are the events that first took each step, of all ways from the same start to the same end.
    """

    unit: Any
    held: tuple[str, ...]
    path: Path
    firsts: dict[int, Event]
    is_stopped: bool = False

    @property
    def step(self) -> int:
        return self.path.step

    @property
    def is_continued(self) -> bool:
        return len(self.path.taken) > 1


def takings(rules: Rules, logs: list[Log]) -> list[Taking]:
    """Every occurrence that takes a step. It belongs to its earliest entry, and of the paths from there the latest."""
    found = []
    for unit, held, events, others in _streams(rules.config, logs):
        best: dict[tuple[Event, int], Path] = {}
        firsts: dict[Any, dict[int, Event]] = defaultdict(dict)
        for path in rules.paths(events, others):
            key = path.last, path.step
            known = best.get(key)
            if known is None or (-path.entry, path.back) > (-known.entry, known.back):
                best[key] = path
            for event, step in path.taken:
                first = firsts[path.way].setdefault(step, event)
                if (event.order, event.client) < (first.order, first.client):
                    firsts[path.way][step] = event
        for path in best.values():
            is_attempt = rules.config.count == "attempts"
            own = (unit, held, path.entry, path.start.order) if is_attempt else unit
            found.append(Taking(own, held, path, firsts[path.way], rules.is_stopped(path, events)))
    return found if rules.config.excluded == "stay" else _remaining(found)


def _remaining(found: list[Taking]) -> list[Taking]:
    """Those of units that are not stopped wherever they took their furthest step."""
    furthest: dict[Any, int] = defaultdict(int)
    for taking in found:
        furthest[taking.unit] = max(furthest[taking.unit], taking.step)
    going = {taking.unit for taking in found if taking.step == furthest[taking.unit] and not taking.is_stopped}
    return [taking for taking in found if taking.unit in going]


def bests(found: list[Taking]) -> dict[Any, Taking]:
    """Of each unit the occurrence that first took its furthest step."""
    best: dict[Any, tuple[Any, Taking]] = {}
    for taking in found:
        path = taking.path
        key = (-taking.step, path.last.order, -path.start.order, path.entry, path.last.client, taking.held)
        if taking.unit not in best or key < best[taking.unit][0]:
            best[taking.unit] = key, taking
    return {unit: taking for unit, (_, taking) in best.items()}


def _streams(config: FunnelConfig, logs: list[Log]) -> Iterator[tuple[Any, tuple[str, ...], list[Event], list[Event]]]:
    """The events of each unit and held value, in order, and all events of the unit."""
    for actor, log in enumerate(logs):
        units = sorted({event.session for event in log}) if config.count == "sessions" else [None]
        for unit in units:
            own = sorted((event for event in log if unit in (None, event.session)), key=lambda event: event.order)
            for held in {values for event in own for values in _held(config, event)}:
                yield (actor, unit), held, [event for event in own if held in _held(config, event)], own


def _held(config: FunnelConfig, event: Event) -> list[tuple[str, ...]]:
    held: list[tuple[str, ...]] = [()]
    for name in config.hold:
        values = event.items if name == "item_id" else ((event.page,) if event.page else ())
        held = [(*before, value) for before in held for value in values]
    return held


def counted(rules: Rules, logs: list[Log]) -> dict[int, tuple[int, int, float | None]]:
    """For each step that was taken: (units, continued units, median seconds)."""
    by_step: dict[int, list[Taking]] = defaultdict(list)
    found = takings(rules, logs)
    best = bests(found)
    for taking in found:
        by_step[taking.step].append(taking)
    figures = {}
    for step, taken in by_step.items():
        first: dict[Any, tuple[Any, ...]] = {}
        for taking in (each for each in taken if each.is_continued):
            reach = (taking.path.last.order, taking.path.elapsed_us)
            first[taking.unit] = min(first.get(taking.unit, reach), reach)
        elapsed = []
        for unit, reach in first.items():
            on_way = best[unit].firsts.get(step) if step > best[unit].path.entry else None
            elapsed.append(on_way.at_us - best[unit].path.start.at_us if on_way else reach[-1])
        units = len({taking.unit for taking in taken})
        is_start = step == 1 and rules.config.entry == "closed"
        figures[step] = units, len(first), 0.0 if is_start else median(elapsed) / SECOND if elapsed else None
    return figures


def counted_unordered(rules: Rules, logs: list[Log]) -> dict[int, tuple[int, int, float | None]]:
    """As `counted`, by trying every set of events: for each k, who took k steps in any order within the window."""
    reached: dict[tuple[int, Any], tuple[int, int]] = {}
    for unit, _, events, _ in _streams(rules.config, logs):
        for stretch in _stretches(rules.config, events):
            for size in range(1, len(rules.config.steps) + 1):
                for chosen in combinations(stretch, size):
                    took = chosen[-1].at_us - chosen[0].at_us
                    if took <= rules.window_us and rules.may_start(chosen[0]) and _match(rules, chosen):
                        reach = chosen[-1].at_us, took
                        reached[size, unit] = min(reached.get((size, unit), reach), reach)
    elapsed: dict[int, list[int]] = defaultdict(list)
    for (size, _), (_, took) in reached.items():
        elapsed[size].append(took)
    return {size: (len(took), 0, median(took) / SECOND) for size, took in elapsed.items()}


def _stretches(config: FunnelConfig, events: list[Event]) -> list[list[Event]]:
    """The events between those that are excluded."""
    excluded = {event for event in events if any(_meets(event, exclusion) for exclusion in config.exclude)}
    stretches: list[list[Event]] = [[]]
    for event in sorted(events, key=lambda event: (event.order, event not in excluded)):
        if event in excluded:
            stretches.append([])
        else:
            stretches[-1].append(event)
    return stretches


def _match(rules: Rules, events: tuple[Event, ...]) -> bool:
    """Whether each of these events can take a step of its own."""
    steps = range(1, len(rules.config.steps) + 1)
    served = [rules.serves(event) for event in events]
    return any(
        all(step in own for step, own in zip(order, served, strict=True)) for order in permutations(steps, len(events))
    )


def random_rules(random: Random, order: str | None = None) -> Rules:
    """Any funnel over a, b and c, with x (or b) excluded."""
    order = order or random.choice(("ordered", "ordered", "strict", "immediate"))
    is_unordered = order == "unordered"
    count = random.randint(2, 4)

    def step(index: int) -> dict[str, Any]:
        made: dict[str, Any] = {"did": random.choice(("a", "b", "c", "a", "b", "c", ["a", "c"]))}
        if random.random() < 0.15:
            made["where"] = [{"property": "page", "equals": "/1"}]
        if not is_unordered and 0 < index < count - 1 and random.random() < 0.4:
            made["optional"] = True
        return made

    def exclusion() -> dict[str, Any]:
        first, last = sorted(random.sample(range(1, count + 1), 2))
        return {"did": random.choice("xxb")} | ({} if is_unordered else {"between": (first, last)})

    by_step = not is_unordered and random.random() < 0.4
    exclude = [exclusion() for _ in range(random.choice((0, 0, 1, 2)))]
    config = FunnelConfig.model_validate(
        {
            "name": "any",
            "steps": [step(index) for index in range(count)],
            "exclude": exclude,
            "excluded": random.choice(("stay", "leave")) if exclude and not is_unordered else "stay",
            "order": order,
            "entry": "closed" if is_unordered else random.choice(("closed", "open")),
            "hold": random.choice(([], [], ["item_id"], ["page"], ["item_id", "page"])),
            "count": random.choice(("actors", "sessions", *(() if is_unordered else ("attempts",)))),
            # Only which of the two: tests count in microseconds, which a configuration does not.
            "step_window" if by_step else "window": "1s",
        }
    )
    first, second = at(0).date(), at(DAY).date()
    since, until = random.choice((*((None, None),) * 3, (None, first), (first, first), (second, None)))
    return Rules(config, random.choice((0, 1, 2, 3, 5, DAY, DAY + 2)), since, until)
