"""The stays of actors in segments by plain Python: what memberships must be after each build, actor by actor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

Seconds = int


@dataclass(frozen=True)
class Stay:
    """One stay; times are seconds."""

    segment: str
    actor: int
    since: Seconds
    until: Seconds | None
    version: str
    run: str
    reason: str | None = None

    @property
    def is_open(self) -> bool:
        return self.until is None


@dataclass(frozen=True)
class Rules:
    """A segment: what the state machine looks at. None is no limit."""

    name: str
    version: str
    held_for: Seconds | None = None
    expires_after: Seconds | None = None
    away_for: Seconds | None = None
    route: str | None = None


@dataclass(frozen=True)
class Build:
    """A build at a moment: the segments in the order in which they are looked at, and whom their rules hold for.

    `most` is how many entries there may be in how many seconds.
    """

    now: Seconds
    run: str
    segments: Sequence[Rules]
    matching: Mapping[str, set[int]]
    most: tuple[int, Seconds] | None

    def routes(self) -> list[list[Rules]]:
        """Segments by route; one without a route is alone."""
        found: dict[str, list[Rules]] = {}
        for each in self.segments:
            found.setdefault(f"route {each.route}" if each.route else each.name, []).append(each)
        return list(found.values())


@dataclass
class Memberships:
    """All stays, and how a build changes them."""

    stays: list[Stay]

    def build(self, build: Build, owners: Mapping[int, set[int]]) -> None:
        """Bring the stays up to a moment; `owners` are the actors of what each client did."""
        gone = self._move(owners)
        actors = {stay.actor for stay in self.stays} | {actor for found in build.matching.values() for actor in found}
        for actor in sorted(actors):
            own = [stay for stay in self.stays if stay.actor == actor]
            others = [stay for stay in self.stays if stay.actor != actor]
            self.stays = others + Person(actor, own, build, is_gone=actor in gone).after()

    def _move(self, owners: Mapping[int, set[int]]) -> set[int]:
        """Give the stays of clients that became users to these; return who is nowhere any more."""
        staged = {actor for found in owners.values() for actor in found}
        lost = {stay.actor for stay in self.stays} - staged
        moved = {actor: next(iter(owners[actor])) for actor in lost if len(owners.get(actor, ())) == 1}
        self.stays = [replace(stay, actor=moved.get(stay.actor, stay.actor)) for stay in self.stays]
        for actor in set(moved.values()):
            for segment in {stay.segment for stay in self.stays if stay.actor == actor}:
                own = [stay for stay in self.stays if (stay.actor, stay.segment) == (actor, segment)]
                self.stays = [stay for stay in self.stays if stay not in own] + joined(own)
        return lost - set(moved)


@dataclass(frozen=True)
class Person:
    """One actor in a build."""

    actor: int
    stays: list[Stay]
    build: Build
    is_gone: bool

    def after(self) -> list[Stay]:
        """The stays of the actor after the build."""
        build = self.build
        rules = {each.name: each for each in build.segments}
        left: dict[str, str] = {}
        staying: set[str] = set()
        for stay in self.stays:
            if not stay.is_open:
                continue
            if stay.segment not in rules:
                left[stay.segment] = "removed"
            elif self.is_expired(stay, rules[stay.segment]):
                left[stay.segment] = "expired"
            elif self.may_stay(stay, rules[stay.segment]):
                staying.add(stay.segment)
            else:
                left[stay.segment] = "no longer matches"
        held = {stay.segment for stay in self.stays if stay.segment in staying and self.is_young(stay, rules)}

        def wish(route: list[Rules]) -> Rules | None:
            fitting = [each for each in route if each.name in staying or self.may_enter(each)]
            return next((each for each in fitting if each.name in held), fitting[0] if fitting else None)

        recent = sum(1 for stay in self.stays if build.most and build.now - stay.since < build.most[1])
        room = float("inf") if build.most is None else build.most[0] - recent
        entered: list[Rules] = []
        wishes = [(found, route) for route in build.routes() if (found := wish(route)) is not None]
        for best, route in sorted(wishes, key=lambda each: build.segments.index(each[0])):
            chosen: Rules | None = best
            if best.name not in staying and room > 0:
                entered.append(best)
                room -= 1
            elif best.name not in staying:
                chosen = next((each for each in route if each.name in staying), None)
            left |= {each.name: "routed elsewhere" for each in route if each.name in staying and each is not chosen}
        return [
            *(self.ended(stay, left, rules) for stay in self.stays),
            *(Stay(each.name, self.actor, build.now, None, each.version, build.run) for each in entered),
        ]

    def is_expired(self, stay: Stay, rule: Rules) -> bool:
        return rule.expires_after is not None and self.build.now - stay.since >= rule.expires_after

    def is_young(self, stay: Stay, rules: Mapping[str, Rules]) -> bool:
        least = rules[stay.segment].held_for
        return stay.is_open and least is not None and self.build.now - stay.since < least

    def may_stay(self, stay: Stay, rule: Rules) -> bool:
        if self.is_gone:
            return False
        is_held = self.is_young(stay, {rule.name: rule}) and stay.version == rule.version
        return self.actor in self.build.matching[rule.name] or is_held

    def may_enter(self, rule: Rules) -> bool:
        own = [stay for stay in self.stays if stay.segment == rule.name]
        if self.actor not in self.build.matching[rule.name] or any(stay.is_open for stay in own):
            return False
        since_left = [self.build.now - stay.until for stay in own if stay.until is not None]
        return not since_left or (min(since_left) > 0 and min(since_left) >= (rule.away_for or 0))

    def ended(self, stay: Stay, left: Mapping[str, str], rules: Mapping[str, Rules]) -> Stay:
        if not stay.is_open:
            return stay
        if stay.segment in left:
            return replace(stay, until=self.build.now, reason=left[stay.segment])
        return replace(stay, version=rules[stay.segment].version)


def joined(stays: Iterable[Stay]) -> list[Stay]:
    """Make stays of one actor in one segment that overlap or meet one."""
    found: list[list[Stay]] = []
    for stay in sorted(stays, key=lambda each: (each.since, end(each), each.run)):
        if found and stay.since <= max(map(end, found[-1])):
            found[-1].append(stay)
        else:
            found.append([stay])
    return [
        replace(
            min(group, key=lambda each: (each.since, end(each), each.run)),
            until=last.until,
            version=last.version,
            reason=last.reason,
        )
        for group in found
        for last in [min(group, key=lambda each: (-end(each), each.since, each.version))]
    ]


def end(stay: Stay) -> float:
    return float("inf") if stay.until is None else stay.until
