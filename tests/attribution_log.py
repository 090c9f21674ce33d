"""Small logs of sessions and events, and attribution of them in plain Python, which tries every pair."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
from hypothesis import strategies as st

from judges.types import to_json
from microconv.staging import mc_tables
from staged_rows import Row, at, occurrence, session

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from microconv.engines.duckdb import DuckDBEngine

MODELS = ("first", "last", "last_non_direct", "linear", "time_decay", "position")
WINDOWS_US = (2, 5, 9)
HALF_LIFE_US = 4
ENTRIES = ("purchase", "view_item", "add_to_cart")
PAGES = ("/", "/a", "(other)")
"""Landing pages that are told apart; the last stands for all others."""


class Visit(NamedTuple):
    """A session: times in microseconds, few, so that ties and windows are hit exactly."""

    us: int
    actor: int
    channel: str | None
    rule: str
    landing: str | None


class Event(NamedTuple):
    """An event of one client and the micro-conversions that it counts as; clients 1 and 2 are actor 1, and so on."""

    us: int
    place: int
    client: int
    entries: frozenset[str]
    session: int | None
    transaction: str | None
    value: float | None
    currency: str | None = "USD"
    value_in_usd: float | None = None

    def worth(self, asked: Asked) -> float:
        """What it is worth in the currency asked for; 0 where nobody knows."""
        value = self.value or 0.0
        if asked.currency in (None, self.currency):
            return value
        if asked.currency == "USD" and self.value_in_usd is not None:
            return self.value_in_usd
        return value if self.currency is None and asked.assumes else 0.0

    @property
    def actor(self) -> int:
        return (self.client + 1) // 2

    @property
    def order(self) -> tuple[int, int]:
        return (self.us * 1_000 + self.place, self.client)


@dataclass(frozen=True)
class Asked:
    """What is asked of the log."""

    touchpoint: str = "channel_group"
    count: str = "each"
    resets: bool = False
    direct: str = "keep"
    weights: tuple[float, float, float] = (0.4, 0.2, 0.4)
    most_pairs: int = 1_000_000
    most_steps: int = 200
    currency: str | None = "USD"
    assumes: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return {
            "channel_group": ("Direct", "Email", "Display", "(other)"),
            "landing_page": PAGES,
            "micro_conversion": ENTRIES[1:],
        }[self.touchpoint]


VISITS = st.lists(
    st.builds(
        Visit,
        us=st.integers(0, 30),
        actor=st.integers(1, 4),
        channel=st.sampled_from(["Direct", "Email", "Display", None]),
        rule=st.sampled_from(["collected", "collected", "last_non_direct"]),
        landing=st.sampled_from(["/", "/a", "/b", None]),
    ),
    max_size=35,
)
EVENTS = st.lists(
    st.builds(
        Event,
        us=st.integers(0, 30),
        place=st.integers(0, 1),
        client=st.integers(1, 9),
        entries=st.frozensets(st.sampled_from(ENTRIES), min_size=1),
        session=st.sampled_from([None, 1, 1, 2]),
        transaction=st.sampled_from([None, None, "t1", "t2"]),
        value=st.sampled_from([None, 3.0, 0.1]),
        currency=st.sampled_from(["USD", "USD", "EUR", None]),
        value_in_usd=st.sampled_from([None, None, 0.2]),
    ),
    max_size=35,
    unique_by=lambda event: event.order,
)
ASKED = st.builds(
    Asked,
    touchpoint=st.sampled_from(["channel_group", "landing_page", "micro_conversion"]),
    count=st.sampled_from(["each", "actors", "sessions"]),
    resets=st.booleans(),
    direct=st.sampled_from(["keep", "drop_trailing", "drop"]),
    weights=st.sampled_from([(0.4, 0.2, 0.4), (0.0, 1.0, 0.0), (0.6, 0.1, 0.3), (1.0, 0.0, 0.0)]),
    most_pairs=st.sampled_from([2, 6, 1_000_000]),
    most_steps=st.sampled_from([2, 200]),
    currency=st.sampled_from([None, "USD", "EUR"]),
    assumes=st.booleans(),
)


def rows_of(visits: Iterable[Visit], events: Iterable[Event]) -> dict[str, list[Row]]:
    """The staged rows of a log."""
    return {
        "mc_sessions": [
            session(
                visit.us,
                key,
                visit.channel,
                actor=visit.actor,
                source_rule=visit.rule,
                landing_page=visit.landing,
                session_date=at(visit.us).date(),
            )
            for key, visit in enumerate(visits)
        ],
        "mc_micro_conversions": [
            occurrence(
                event.us,
                entry,
                client=event.client,
                place=event.place,
                actor_key=event.actor,
                session_key=None if event.session is None else event.client * 10 + event.session,
                transaction_id=event.transaction,
                value=event.value,
                currency=event.currency,
                value_in_usd=event.value_in_usd,
            )
            for event in events
            for entry in sorted(event.entries)
        ],
    }


def refill(engine: DuckDBEngine, rows: dict[str, list[Row]]) -> None:
    """Let the engine's tables hold these rows and no others."""
    for name, given in rows.items():
        engine._connection.execute(f"DELETE FROM {name}")
        if given:
            columns = dict.fromkeys(column for row in given for column in row)
            engine._connection.register("given", pa.table({name: [row.get(name) for row in given] for name in columns}))
            engine._connection.execute(f"INSERT INTO {name} BY NAME SELECT * FROM given")


def judged(rows: dict[str, list[Row]]) -> dict[str, Any]:
    """The rows as judges take tables."""
    return {
        name: (
            {column.name: column.type for column in mc_tables.TABLES[name].columns},
            [{column: to_json(value) for column, value in row.items()} for row in given],
        )
        for name, given in rows.items()
    }


@dataclass(frozen=True)
class Touch:
    """One touch; `order` is comparable between touches and, for occurrences, with that of events."""

    us: int
    order: tuple[Any, ...]
    actor: int
    name: str
    is_direct: bool


def touches_of(visits: Sequence[Visit], events: Sequence[Event], asked: Asked) -> list[Touch]:
    """All touches, in order."""
    if asked.touchpoint == "micro_conversion":
        found = [
            Touch(event.us, (*event.order, entry), event.actor, entry, is_direct=False)
            for event in events
            for entry in event.entries & set(asked.names)
        ]
    else:
        found = [
            Touch(visit.us, (visit.us, key), visit.actor, _name(visit, asked), _is_direct(visit))
            for key, visit in enumerate(visits)
        ]
    return sorted(found, key=lambda touch: touch.order)


def _is_direct(visit: Visit) -> bool:
    return visit.rule == "last_non_direct" or visit.channel == "Direct"


def _name(visit: Visit, asked: Asked) -> str:
    if asked.touchpoint == "landing_page":
        name = visit.landing or "(not set)"
        return name if name in PAGES else "(other)"
    return "Direct" if visit.rule == "last_non_direct" else visit.channel or "Unassigned"


def conversions_of(events: Sequence[Event], asked: Asked) -> list[tuple[Event, Event | None]]:
    """The conversions that count, each with the one before it of the same actor."""
    counted: list[Event] = []
    transactions, units = set(), set()
    for event in sorted((event for event in events if "purchase" in event.entries), key=lambda event: event.order):
        transaction = (event.actor, event.transaction)  # two actors with one id have bought twice
        if event.transaction is not None and transaction in transactions:
            continue
        transactions.add(transaction)
        unit: Any = event.actor
        if asked.count == "sessions":
            unit = None if event.session is None else (event.client, event.session)
        if asked.count != "each" and unit is not None and unit in units:
            continue
        units.add(unit)
        counted.append(event)
    return [
        (event, max((e for e in counted if e.actor == event.actor and e.order < event.order), key=_order, default=None))
        for event in counted
    ]


def left_out(
    touches: Iterable[Touch], conversions: Iterable[tuple[Event, Event | None]], asked: Asked
) -> frozenset[int]:
    """The actors who have more possible pairs of touches and conversions than are looked at."""
    touched = Counter(touch.actor for touch in touches)
    converted = Counter(event.actor for event, _ in conversions)
    return frozenset(actor for actor, many in converted.items() if many * touched[actor] > asked.most_pairs)


def _order(event: Event) -> tuple[int, int]:
    return event.order


def is_after(touch: Touch, event: Event | None, asked: Asked) -> bool:
    if event is None:
        return True
    if asked.touchpoint == "micro_conversion":
        return touch.order[:2] > event.order
    return touch.us > event.us


def _is_before(touch: Touch, event: Event, asked: Asked) -> bool:
    if asked.touchpoint == "micro_conversion":
        return touch.order[:2] < event.order
    return touch.us <= event.us


def seen_by(conversion: tuple[Event, Event | None], touches: Sequence[Touch], window: int, asked: Asked) -> list[Touch]:
    """The touches that may earn credit for a conversion, in order."""
    event, previous = conversion
    seen = [
        touch
        for touch in touches
        if touch.actor == event.actor
        and event.us - touch.us <= window
        and _is_before(touch, event, asked)
        and (not asked.resets or is_after(touch, previous, asked))
    ]
    return without_direct(seen, asked)


def without_direct(path: list[Touch], asked: Asked) -> list[Touch]:
    """The touches of a path that count; a path of nothing but direct ones keeps them."""
    others = [index for index, touch in enumerate(path) if not touch.is_direct]
    if asked.direct == "keep" or not others:
        return path
    if asked.direct == "drop":
        return [path[index] for index in others]
    return path[: others[-1] + 1]


def shares(touches: Sequence[Touch], moment: int, weights: tuple[float, float, float]) -> dict[str, list[float]]:
    """The share of each touch, in order, by model."""
    size = len(touches)
    others = [index for index, touch in enumerate(touches) if not touch.is_direct]
    winner = others[-1] if others else size - 1
    decayed = [0.5 ** ((moment - touch.us) / HALF_LIFE_US) for touch in touches]
    first, middle, last = weights
    if size == 1:
        position = [1.0]
    elif size == 2:
        position = [first / (first + last), last / (first + last)] if first + last else [0.5, 0.5]
    else:
        position = [first, *[middle / (size - 2)] * (size - 2), last]
    return {
        "first": [float(index == 0) for index in range(size)],
        "last": [float(index == size - 1) for index in range(size)],
        "last_non_direct": [float(index == winner) for index in range(size)],
        "linear": [1 / size] * size,
        "time_decay": [weight / sum(decayed) for weight in decayed],
        "position": position,
    }


Expected = dict[str | None, dict[str, float]]


def credits_of(visits: Sequence[Visit], events: Sequence[Event], asked: Asked) -> Expected:
    """Touchpoint -> column of the template -> credit or value."""
    expected: Expected = defaultdict(lambda: defaultdict(float))
    touches, conversions = touches_of(visits, events, asked), conversions_of(events, asked)
    without = left_out(touches, conversions, asked)
    for conversion in conversions:
        event, _ = conversion
        for number, window in enumerate(WINDOWS_US, start=1):
            seen = [] if event.actor in without else seen_by(conversion, touches, window, asked)
            names = [touch.name for touch in seen] or [None]
            by_model = shares(seen, event.us, asked.weights) if seen else {model: [1.0] for model in MODELS}
            for model, of_touches in by_model.items():
                for share, name in zip(of_touches, names, strict=True):
                    expected[name][f"credit_{model}_{number}"] += share
                    expected[name][f"value_{model}_{number}"] += share * event.worth(asked)
    return expected


def paths_of(visits: Sequence[Visit], events: Sequence[Event], asked: Asked) -> dict[tuple[int, str], list[float]]:
    """Number of the window and path -> conversions, value, other journeys, and journeys whose path was shortened."""
    found: dict[tuple[int, str], list[float]] = defaultdict(lambda: [0, 0.0, 0, 0])
    touches, conversions = touches_of(visits, events, asked), conversions_of(events, asked)
    without = left_out(touches, conversions, asked)
    for number, window in enumerate(WINDOWS_US, start=1):
        for conversion in conversions:
            event, _ = conversion
            seen = [] if event.actor in without else seen_by(conversion, touches, window, asked)
            path, shortened = _path(seen, asked)
            row = found[number, path]
            row[0] += 1
            row[1] += event.worth(asked)
            row[3] += shortened
        for open_touches in _open(touches, [event for event, _ in conversions], asked):
            last = max(touch.us for touch in open_touches)
            within = [touch for touch in open_touches if last - touch.us <= window]
            path, shortened = _path(without_direct(within, asked), asked)
            found[number, path][2] += 1
            found[number, path][3] += shortened
    return found


def _open(touches: Sequence[Touch], conversions: Sequence[Event], asked: Asked) -> Iterator[list[Touch]]:
    """The touches of each actor after the last conversion."""
    for actor in sorted({touch.actor for touch in touches}):
        own = [event for event in conversions if event.actor == actor]
        last = max(own, key=_order, default=None)
        if asked.count == "actors" and last is not None:
            continue
        left = [touch for touch in touches if touch.actor == actor and is_after(touch, last, asked)]
        if left:
            yield left


def _path(touches: Sequence[Touch], asked: Asked) -> tuple[str, bool]:
    numbers = [
        asked.names.index(touch.name) if touch.name in asked.names else len(asked.names) - 1 for touch in touches
    ]
    return ">".join(map(str, numbers[-asked.most_steps :])), len(numbers) > asked.most_steps
