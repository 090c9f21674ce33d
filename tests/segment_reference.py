"""What a rule of a segment means, in plain Python over a log: the other half of the property tests of its SQL."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

from microconv.config.segment_rules import SegmentRule

SECOND = 1_000_000
PRICED = ("view",)
"""Entries whose value the taxonomy says itself."""
STAGES = ("awareness", "consideration", "decision", "post_sale")
COLUMNS = {"channel": "channel_group", "device": "device_category"}

Row = dict[str, Any]


@dataclass(frozen=True)
class Log:
    """Occurrences and sessions; times are microseconds. `stages` are of entries that are no hesitation."""

    occurrences: Sequence[Row]
    sessions: Sequence[Row]
    stages: dict[str, str]
    replaced: dict[str, str]

    def members(self, rule: SegmentRule, as_of: int) -> list[int]:
        past = [row for row in self.occurrences if row["us"] <= as_of]
        visits = [row for row in self.sessions if row["started_us"] <= as_of]
        actors = {row["actor_key"] for row in (*past, *visits)}
        return sorted(each for each in actors if _Actor(self, _once(past, each), visits, each, as_of).holds(rule))


def _once(past: Iterable[Row], actor: int) -> list[Row]:
    """The occurrences of an actor, the earliest report of each transaction."""
    rows: list[Row] = []
    for row in sorted(
        (row for row in past if row["actor_key"] == actor), key=lambda row: (row["order"], row["client"])
    ):
        same = ("property", "micro_conversion", "transaction_id")
        if row["transaction_id"] is not None and any(all(row[key] == one[key] for key in same) for one in rows):
            continue
        rows.append(row)
    return rows


def _money(row: Row, rule: SegmentRule) -> float | None:
    """The value of an occurrence in the currency of the rule, if it is in that."""
    if row["currency"] == rule.currency or row["micro_conversion"] in PRICED:
        return row["value"]
    if rule.currency == "USD" and row["value_in_usd"] is not None:
        return row["value_in_usd"]
    return row["value"] if row["currency"] is None and rule.assumed_currency == rule.currency else None


class _Actor:
    def __init__(self, log: Log, rows: list[Row], visits: list[Row], key: int, as_of: int) -> None:
        self.log, self.rows, self.as_of = log, rows, as_of
        own = (row for row in visits if row["actor_key"] == key)
        self.visits = sorted(own, key=lambda row: (row["started_us"], row["session_key"]))

    def holds(self, rule: SegmentRule) -> bool:
        if rule.all:
            return all(self.holds(each) for each in rule.all)
        if rule.any:
            return any(self.holds(each) for each in rule.any)
        if rule.not_:
            return not self.holds(rule.not_)
        if rule.segment:
            return self.holds(rule.rule)
        return getattr(self, f"_{rule.kind}")(rule)

    def did(self, ids: Iterable[str], where: Any, within: int | None) -> list[Row]:
        counted = {self.log.replaced.get(each, each) for each in ids}
        return [
            row
            for row in self.rows
            if row["micro_conversion"] in counted
            and (within is None or self.as_of - row["us"] <= within)
            and all(meets(row, condition) for condition in where)
        ]

    def _did(self, rule: SegmentRule) -> bool:
        done = self.did(rule.did, rule.where, rule.within.microseconds)
        for undoing in self.did(rule.not_did, (), None):
            done = [row for row in done if row["order"] > undoing["order"]]
            if rule.not_within and self.as_of - undoing["us"] <= rule.not_within.microseconds:
                done = []
        if rule.in_sessions and len({row["session_key"] for row in done} - {None}) < rule.in_sessions:
            return False
        if rule.on_days and len({row["event_date"] for row in done}) < rule.on_days:
            return False
        if rule.distinct:
            number = len({value for row in done for value in values(row, rule.distinct)})
        else:
            number = len(events(done))
        if rule.exactly is not None:
            return number == rule.exactly
        least = rule.at_least
        if least is None:
            only = rule.at_most is None and not ((rule.in_sessions or rule.on_days) and not rule.distinct)
            least = 1 if only else 0
        return least <= number and (rule.at_most is None or number <= rule.at_most)

    def _total(self, rule: SegmentRule) -> bool:
        amounts: dict[tuple[int, int], int] = {}
        for row in self.did(rule.of, rule.where, rule.within.microseconds):
            if rule.total == "engagement_seconds":
                amount = row["engagement_msec"] or 0
            else:
                amount = max(0, round((_money(row, rule) or 0) * 1000))
            event = (row["client"], row["order"])
            amounts[event] = max(amount, amounts.get(event, 0))
        total = sum(amounts.values())
        return total >= rule.at_least * 1000 if rule.below is None else total < rule.below * 1000

    def _first(self, rule: SegmentRule) -> bool:
        done = self.did(rule.first, rule.where, None)
        return bool(done) and self.as_of - min(row["us"] for row in done) <= rule.within.microseconds

    def _last(self, rule: SegmentRule) -> bool:
        done = self.did(rule.last, rule.where, None)
        low, high = (each.microseconds for each in rule.between)
        return bool(done) and low <= self.as_of - max(row["us"] for row in done) <= high

    def _lapsed(self, rule: SegmentRule) -> bool:
        done = self.did(rule.lapsed, rule.where, None)
        absence = rule.for_.microseconds
        if not done or self.as_of - max(row["us"] for row in done) < absence:
            return False
        return not rule.of or all(self.as_of - row["ended_us"] >= absence for row in self.visits)

    def _sequence(self, rule: SegmentRule) -> bool:
        within = rule.within.microseconds
        steps = [self.did(step.did, step.where, within) for step in rule.sequence]
        barriers = self.did(rule.without, (), within)
        return any(
            all(
                one["order"] < other["order"] and (not rule.gap or other["us"] - one["us"] <= rule.gap.microseconds)
                for one, other in pairwise(way)
            )
            and (not rule.window or way[-1]["us"] - way[0]["us"] <= rule.window.microseconds)
            and not any(way[0]["order"] < barrier["order"] < way[-1]["order"] for barrier in barriers)
            for way in product(*steps)
        )

    def _stage(self, rule: SegmentRule) -> bool:
        within = rule.within.microseconds if rule.within else None
        done = self.did(self.log.stages, (), within)
        reached = [STAGES.index(self.log.stages[row["micro_conversion"]]) for row in done]
        return bool(reached) and STAGES[max(reached)] in rule.stage

    def _session(self, rule: SegmentRule) -> bool:
        if not self.visits:
            return False
        visit = self.visits[0 if rule.touch == "first" else -1]
        traits = ("channel", "campaign", "source", "medium", "country", "device")
        spoken = visit["language"] or ""
        return all(visit[COLUMNS.get(key, key)] in getattr(rule, key) for key in traits if getattr(rule, key)) and (
            not rule.language or any(f"{spoken}-".startswith(f"{each}-") for each in rule.language)
        )


def events(rows: Iterable[Row]) -> set[tuple[int, int]]:
    """An event that is several entries is one."""
    return {(row["client"], row["order"]) for row in rows}


def values(row: Row, name: str) -> list[Any]:
    if name == "item_id":
        return [] if row["items_item_id"] is None else row["items_item_id"].split("\n")
    return [] if row[name] is None else [row[name]]


def meets(row: Row, condition: Any) -> bool:
    found = values(row, condition.property)
    operand = condition.operand
    match condition.operator:
        case "exists":
            return bool(found) is operand
        case "equals":
            return operand in found
        case "any_of":
            return any(value in operand for value in found)
        case "starts_with":
            return any(value.startswith(operand) for value in found)
        case "matches":
            return any(re.search(operand, value) for value in found)
        case "at_least":
            return any(value >= operand for value in found)
    raise ValueError(condition.operator)
