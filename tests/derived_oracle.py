"""Derived occurrences in plain Python, by their definitions: slow, and without the thoughts of the SQL.

Whatever a rule says is looked up for each occurrence anew, among all that its actor did.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from microconv.staging import properties
from microconv.taxonomy import Derivation, MicroConversion, Taxonomy

Row = dict[str, Any]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COPIED = ("property", "client_key", "actor_key", "session_key", "page", "is_provisional")


def micros(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True)
class Staged:
    """What is staged: ordinary occurrences and signals, sessions, and by property the staged days that were over.

    `carried` are the columns of occurrences beyond those of the table.
    """

    rows: Sequence[Row]
    sessions: Sequence[Row]
    days_over: Mapping[str, frozenset[date]]
    zone: str = "UTC"
    carried: Sequence[str] = ()


def derived_rows(taxonomy: Taxonomy, staged: Staged) -> list[Row]:
    """All derived occurrences that what is staged leads to."""
    rows, sessions, zone, carried = staged.rows, staged.sessions, staged.zone, staged.carried
    found: list[Row] = []
    usable = [row for row in rows if is_of_its_day(row["event_date"], row["event_at"])]
    starts = [each for each in sessions if is_of_its_day(each["session_date"], each["started_at"])]
    for derived in taxonomy.derived:
        entry = taxonomy.entry(derived.id)
        at_hand = [*usable, *found]
        new: dict[tuple[Any, ...], Row] = {}
        for actor in {row["actor_key"] for row in at_hand}:
            own = sorted(
                (row for row in at_hand if row["actor_key"] == actor),
                key=lambda row: (row["event_order"], row["client_key"], row["micro_conversion"]),
            )
            own_sessions = [each for each in starts if each["actor_key"] == actor]
            for born in of_actor(taxonomy, derived.rule, own, own_sessions, starts):
                is_wait = derived.rule.start is not None or derived.rule.stalled_after is not None
                made = completed(entry, born, zone, carried)
                if is_wait and not days_between(born["base"]["event_date"], made["event_date"]) <= staged.days_over.get(
                    made["property"], frozenset()
                ):
                    continue
                key = made["client_key"], made["event_order"]
                if key not in new or born["rank"] < new[key]["rank"]:
                    new[key] = made | {"rank": born["rank"]}
        found += [{name: value for name, value in row.items() if name != "rank"} for row in new.values()]
    return found


def days_between(first: date, last: date) -> frozenset[date]:
    """The days from the first to the last; the last alone where it lies before the first, as two zones may have it."""
    return frozenset(last - timedelta(days=back) for back in range(max((last - first).days, 0) + 1))


def is_of_its_day(day: date, at: datetime) -> bool:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return midnight - timedelta(hours=14) <= at < midnight + timedelta(hours=36)


def completed(entry: MicroConversion, born: Row, zone: str, carried: Sequence[str]) -> Row:
    """A row as it is staged, of the row at which it was born."""
    base = born["base"]
    moment = born.get("moment_us")
    made = {name: base[name] for name in (*COPIED, *carried)}
    if moment is None:
        made |= {name: base[name] for name in ("event_date", "event_at", "event_order", "transaction_id")}
    else:
        at = EPOCH + timedelta(microseconds=moment)
        made |= {"event_date": at.astimezone(ZoneInfo(zone)).date(), "event_at": at, "event_order": moment * 1000 + 999}
        made |= {"transaction_id": None}
    own = entry.value == "event"
    return made | {
        "micro_conversion": entry.id,
        "kind": entry.kind,
        "stage": entry.stage,
        "value": base["value"] if own else entry.value,
        "currency": base["currency"] if own else None,
        "value_in_usd": base["value_in_usd"] if own else None,
        "copies": 1,
        "external_source": None,
        "engagement_msec": None,
        "is_derived": True,
    }


def of_actor(
    taxonomy: Taxonomy, rule: Derivation, rows: list[Row], sessions: list[Row], all_sessions: list[Row]
) -> Iterator[Row]:
    counted = {each.id: each.counts_as for each in taxonomy.staged}
    values = {value for row in rows for value in values_of(row, rule.again or rule.same)}
    for held in sorted(values):
        own = [row for row in rows if held in values_of(row, rule.again or rule.same)]

        def done(ids: Iterable[str] | None, own: list[Row] = own) -> list[Row]:
            asked = {counted[each] for each in ids or ()}
            return [row for row in own if row["micro_conversion"] in asked]

        if rule.of or rule.between:
            yield from thresholds(rule, done(rule.of or rule.between), [counted[each] for each in rule.between or ()])
        elif rule.start or rule.stalled_after:
            ends = {counted[each] for each in rule.without or ()}
            if rule.stalled_after:
                ends = progress(taxonomy, rule.stalled_after)
            finished = [row for row in own if row["micro_conversion"] in ends]
            yield from waits(rule, done(rule.start or rule.stalled_after), finished)
        elif rule.pause_after:
            doings = {each.counts_as for each in taxonomy.entries if each.derivation is None}
            yield from pauses(rule, done(rule.pause_after), [row for row in own if row["micro_conversion"] in doings])
        else:
            yield from returns(rule, done, sessions, all_sessions)


def values_of(row: Row, name: str | None) -> list[str]:
    if name is None:
        return [""]
    found = properties.resolve(name)
    value = row[found.column]
    if value is None:
        return []
    return value.split("\n") if found.is_list else [str(value)]


def progress(taxonomy: Taxonomy, after: Sequence[str]) -> set[str]:
    reached = max(taxonomy.rank(taxonomy.counted(each)) for each in after)
    return {
        each.id
        for each in taxonomy.entries
        if each.kind in ("milestone", "macro") and not each.is_hesitation and taxonomy.rank(each.id) > reached
    }


def thresholds(rule: Derivation, rows: list[Row], sides: list[str]) -> Iterator[Row]:
    events = by_event(rule, rows, sides)
    length = rule.reach.microseconds
    for place, event in enumerate(events):
        now = event["us"]
        before = [each for each in events[:place] if now - each["us"] <= length]
        reached = [figure(rule, those) >= rule.need for those in (before, [*before, event])]
        if reached == [False, True]:
            yield {"base": event["base"], "rank": (event["base"]["micro_conversion"],)}


def by_event(rule: Derivation, rows: list[Row], sides: list[str]) -> list[Row]:
    """What one event is worth to a rule, however many of its entries it counts as."""
    events: dict[tuple[int, int], list[Row]] = {}
    for row in rows:
        if (amount := amount_of(rule, row)) > 0:
            side = sides.index(row["micro_conversion"]) if sides else 0
            events.setdefault((row["event_order"], row["client_key"]), []).append(
                {"us": micros(row["event_at"]), "base": row, "amount": amount, "side": side, "keys": keys_of(rule, row)}
            )
    best = []
    for _, those in sorted(events.items()):
        first = min(those, key=lambda each: (-each["amount"], each["side"], each["base"]["micro_conversion"]))
        if rule.distinct:
            first |= {"keys": {key for each in those for key in each["keys"]}}
            first |= {"base": min((each["base"] for each in those), key=lambda row: row["micro_conversion"])}
        best.append(first)
    return best


def amount_of(rule: Derivation, row: Row) -> int:
    if rule.measure == "engagement":
        return min(row["engagement_msec"] or 0, rule.need)
    if rule.measure == "total":
        value = row[properties.resolve(rule.total or "").column]
        try:
            number = float(value if value is not None else 0)
        except ValueError:
            return 0
        return min(int(number * 1000 + 0.5), rule.need) if 0 < number <= 1e10 else 0
    if rule.measure == "sessions":
        return int(row["session_key"] is not None)
    return int(bool(keys_of(rule, row)))


def keys_of(rule: Derivation, row: Row) -> set[Any]:
    """What must count once, however often it is there."""
    if rule.measure == "sessions":
        return {row["session_key"]}
    if rule.measure == "days":
        return {row["event_date"]}
    if rule.distinct:
        return set(values_of(row, rule.distinct))
    transaction = row["transaction_id"]
    own = (row["event_order"], row["client_key"])
    return {own if transaction is None else (row["micro_conversion"], transaction)}


def figure(rule: Derivation, events: list[Row]) -> int:
    if rule.measure == "switches":
        return sum(one["side"] != other["side"] for one, other in pairwise(events))
    latest: dict[Any, int] = {}
    for event in events:
        latest |= dict.fromkeys(event["keys"], event["amount"])
    return sum(latest.values())


def waits(rule: Derivation, starts: list[Row], ends: list[Row]) -> Iterator[Row]:
    length = rule.reach.microseconds
    for place, start in enumerate(starts):
        until = micros(start["event_at"]) + length
        is_ended = any(end["event_order"] >= start["event_order"] and micros(end["event_at"]) <= until for end in ends)
        is_begun_anew = any(micros(later["event_at"]) <= until for later in starts[place + 1 :])
        if not is_ended and not is_begun_anew:
            rank = (-start["event_order"], start["actor_key"], start["micro_conversion"])
            yield {"base": start, "moment_us": until, "rank": rank}


def pauses(rule: Derivation, starts: list[Row], doings: list[Row]) -> Iterator[Row]:
    length = rule.reach.microseconds
    for start in starts:
        later = [
            micros(each["event_at"])
            for each in doings
            if each["session_key"] == start["session_key"] and each["event_order"] > start["event_order"]
        ]
        now = micros(start["event_at"])
        if start["session_key"] is not None and later and min(later) - now > length:
            rank = (-start["event_order"], start["actor_key"], start["micro_conversion"])
            yield {"base": start, "moment_us": now + length, "rank": rank}


def returns(rule: Derivation, done: Any, sessions: list[Row], all_sessions: list[Row]) -> Iterator[Row]:
    firsts, ends = done(rule.first), done(rule.without)
    if rule.is_of_sessions:
        backs = sorted(
            map(as_row, sessions), key=lambda row: (row["event_order"], row["client_key"], row["session_key"])
        )
    else:
        backs = done(rule.then)
    began = {each["session_key"]: micros(each["started_at"]) for each in all_sessions}
    taken: set[int] = set()
    for back in backs:
        before = [each for each in firsts if each["event_order"] < back["event_order"]]
        if not before:
            continue
        first = max(before, key=lambda each: each["event_order"])
        blocked = [end for end in ends if first["event_order"] <= end["event_order"] < back["event_order"]]
        left = micros(first["event_at"])
        is_later = back["session_key"] in began and began[back["session_key"]] > left
        is_in_time = micros(back["event_at"]) - left <= rule.reach.microseconds
        if blocked or not is_later or not is_in_time or first["event_order"] in taken:
            continue
        taken.add(first["event_order"])
        yield {"base": back, "rank": (back["micro_conversion"] or "", back["session_key"])}


def as_row(session: Row) -> Row:
    """The beginning of a session, as a row at which something is born."""
    nothing = dict.fromkeys(("micro_conversion", "value", "currency", "value_in_usd", "transaction_id"))
    return _Bare(
        nothing
        | {name: session[name] for name in ("property", "client_key", "actor_key", "session_key", "is_provisional")}
        | {
            "event_date": session["session_date"],
            "event_at": session["started_at"],
            "event_order": micros(session["started_at"]) * 1000,
            "page": session["landing_page"],
        }
    )


class _Bare(dict[str, Any]):
    """A session carries no properties."""

    def __missing__(self, name: str) -> None:
        return None
