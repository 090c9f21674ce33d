"""What the staged events hold beyond the taxonomy: entries to add, to collapse, to retire, and properties to carry."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal
from urllib.parse import unquote

from microconv import wording
from microconv.config.sections import Config
from microconv.engines.base import Engine
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.result import Result, column, sheet
from microconv.staging.parameter_profile import ParameterProfile, ParameterUse
from microconv.taxonomy import Condition, MicroConversion, Taxonomy
from microconv.taxonomy.signals import (
    Guess,
    automatic_events,
    guess_event,
    guess_page,
    plumbing_parameters,
    slug,
)
from microconv.wording import Sheet

Action = Literal["add", "collapse", "retire", "carry"]

MOST_PAGES = 5_000
"""Pages looked at, those of most actors first."""
_LEAST_OCCURRENCES, _LEAST_ACTORS = 20, 10
_LEAST_PAGE_SHARE = 0.0005
_SAME_WITHIN = 0.1
_LEAST_REPEAT_SHARE, _LEAST_REPEATS = 0.05, 20
_LEAST_VALUE_SHARE, _MOST_VALUE_SHARE = 0.02, 0.9
_MOST_VALUES, _MOST_OF_A_PARAMETER, _MOST_ID = 30, 3, 64
_RETIRE_ACTORS, _RETIRE_MACROS, _RETIRE_BELOW = 100, 20, 1.25
_Z = 1.959963984540054
_STRONG = 3.0
_RAW = (
    "Raw association: the share of actors with a macro-conversion after they first did it, beside the share of all who "
    "never did it. It does not prove an effect: who is about to buy does more of everything."
)


@dataclass(frozen=True)
class Association:
    """How many actors did something, and how many of these, and of the others, had a macro-conversion."""

    occurrences: int
    actors: int
    converted: int
    converted_after: int
    all_actors: int
    all_converted: int

    @property
    def of_did(self) -> float | None:
        """P(macro afterwards | did it)."""
        return wording.ratio(self.converted_after, self.actors)

    @property
    def of_others(self) -> float | None:
        """P(macro | did it never)."""
        return wording.ratio(self.all_converted - self.converted, self.all_actors - self.actors)

    @property
    def times(self) -> float | None:
        """How many times as likely; None where nothing can be said."""
        return self.of_did / self.of_others if self.of_did is not None and self.of_others else None

    @property
    def at_most_times(self) -> float | None:
        """The upper end of the 95% interval of `times` (Katz et al., 1978); None where it cannot be told."""
        a, n, c, m = (
            self.converted_after,
            self.actors,
            self.all_converted - self.converted,
            self.all_actors - self.actors,
        )
        if not self.times or not a or not c:
            return None
        return self.times * math.exp(_Z * math.sqrt(1 / a - 1 / n + 1 / c - 1 / m))

    def sentence(self) -> str:
        """Say it, with its counts."""
        if not self.actors or self.of_others is None:
            return "Raw association with the macro-conversions: nobody to compare with"
        times = f", {wording.decimal(self.times)} times" if self.times is not None else ""
        return (
            f"Raw association: {wording.share(self.of_did)} had a macro-conversion afterwards "
            f"({wording.count(self.converted_after)} of {wording.count(self.actors)}), of the others "
            f"{wording.share(self.of_others)}{times}"
        )


@dataclass(frozen=True)
class Suggestion:
    """One proposal; its figures are those of the staged days, or of the days looked at for parameters."""

    action: Action = column("do")
    id: str = column("entry", is_whole=True)
    matches: str = column("counts when")
    occurrences: int = column("occurrences", wording.count)
    actors: int | None = column("actors", wording.count)
    kind: str = column("kind")
    stage: str = column("stage")
    reason: str = column("why")
    examples: tuple[str, ...] = column("examples", ", ".join)
    macro_after_did: float | None = column("macro after", wording.share)
    macro_of_others: float | None = column("macro of others", wording.share)
    times: float | None = column("times", wording.decimal)
    converted_after: int | None = column("had it after", wording.count)
    is_doubtful: bool = column("doubtful", lambda doubtful: "yes" if doubtful else "")
    association: str = column("raw association")
    mindset: str | None = column("mindset")
    friction: str = column("friction")
    event: str = column("event")
    condition: tuple[tuple[str, str], ...] = column("condition", lambda pairs: " ".join(f"{a}={b}" for a, b in pairs))
    """Key and operand of the condition, as a file writes them: ("parameter", name) first where it looks at one."""


@dataclass(frozen=True)
class SuggestionsResult(Result):
    """Proposals for the taxonomy: what to add, collapse, retire and carry."""

    row_type: ClassVar[type] = Suggestion

    suggestions: tuple[Suggestion, ...]
    left_out: tuple[str, ...]
    """What was passed over, with the reason."""
    sentence: str = ""
    assumptions: tuple[str, ...] = ()

    @property
    def rows(self) -> tuple[Suggestion, ...]:
        """All proposals, those to add first."""
        return self.suggestions

    def of(self, action: Action) -> tuple[Suggestion, ...]:
        """Return the proposals of one kind."""
        return tuple(each for each in self.suggestions if each.action == action)

    def sheets(self) -> Iterator[Sheet | str]:
        """Show what to add with its association, then the others."""
        wanted = {
            "add": (
                "id",
                "matches",
                "actors",
                "kind",
                "stage",
                "reason",
                "macro_after_did",
                "macro_of_others",
                "times",
            ),
            "collapse": ("id", "occurrences", "reason"),
            "retire": ("id", "occurrences", "actors", "reason", "times"),
            "carry": ("id", "matches", "occurrences", "examples", "reason"),
        }
        titles = {
            "add": "To add",
            "collapse": "To collapse",
            "retire": "To retire",
            "carry": "To carry, for breakdowns",
        }
        for action, names in wanted.items():
            found = self.of(action)  # type: ignore[arg-type]  # the keys are actions
            if not found:
                continue
            whole = sheet(titles[action], found, Suggestion)
            order = list(Suggestion.__dataclass_fields__)
            places = [order.index(name) for name in names]
            yield Sheet(
                whole.title,
                tuple(whole.headings[place] for place in places),
                tuple(tuple(row[place] for place in places) for row in whole.rows),
            )
        if self.left_out:
            yield f"Left out: {'; '.join(self.left_out)}."


def suggest(
    engine: Engine, config: Config, taxonomy: Taxonomy, profile: ParameterProfile, *, others: Iterable[Taxonomy] = ()
) -> SuggestionsResult:
    """Propose changes of the taxonomy from what is staged.

    Args:
        engine: Where it is staged.
        config: Says what funnels, segments and attribution name.
        taxonomy: The one in use.
        profile: The parameters of some days.
        others: Further taxonomies, what they cover is not proposed.
    """
    pages = engine.query(page_views()).to_pylist()
    whole = _Staged(engine, config, taxonomy, tuple(others), profile)
    found, left_out = whole.suggestions(pages)
    adds = sum(each.action == "add" for each in found)
    days = ", ".join(day.isoformat() for day in profile.days)
    return SuggestionsResult(
        suggestions=tuple(found),
        left_out=tuple(left_out),
        sentence=f"{wording.plural(len(found), 'proposal')}, {wording.count(adds)} of them to add."
        if found
        else "Nothing to propose.",
        assumptions=(
            _RAW,
            f"Parameters: from {wording.plural(len(profile.days), 'day')} of the export ({days})."
            if profile.days
            else f"Parameters: none looked at. {profile.problem}".rstrip(),
            "Stage and kind are guesses from names; read the reason before you take one.",
        ),
    )


def page_views() -> Query:
    """Return the query of the pages of most clients."""
    return templates.query("audit/page_views", params={"most": MOST_PAGES})


def associations(patterns: Sequence[str]) -> Query:
    """Return the query of how events, entries and pages go with macro-conversions."""
    return templates.query("audit/associations", params={"page_patterns": list(patterns)})


def repeats() -> Query:
    """Return the query of what repeats within a second."""
    return templates.query("audit/repeats")


def examples(_config: Config, _taxonomy: Taxonomy) -> Iterator[tuple[str | None, Query]]:
    """Yield the queries of `microconv taxonomy suggest`; the patterns of pages are an example."""
    yield from ((None, query) for query in (page_views(), associations(["^/pricing"]), repeats()))


@dataclass(frozen=True)
class _Page:
    pattern: str
    condition: tuple[str, str]
    guess: Guess | None
    examples: tuple[str, ...]


@dataclass(frozen=True)
class _Staged:
    engine: Engine
    config: Config
    taxonomy: Taxonomy
    others: tuple[Taxonomy, ...]
    profile: ParameterProfile

    @property
    def entries(self) -> tuple[MicroConversion, ...]:
        return tuple(entry for each in (self.taxonomy, *self.others) for entry in each.staged)

    def suggestions(self, pages: Sequence[Mapping[str, Any]]) -> tuple[list[Suggestion], list[str]]:
        candidates = [page for page in pages_by_name(pages) if not self._is_page_covered(page)]
        rows = self.engine.query(associations([page.pattern for page in candidates])).to_pylist()
        known = {(row["kind"], row["name"]): row for row in rows}
        total = known.get(("all", ""), {"actors": 0, "converted": 0})

        def association(kind: str, name: str) -> Association | None:
            row = known.get((kind, name))
            counts = ("occurrences", "actors", "converted", "converted_after")
            if row is None:
                return None
            figures: dict[str, int] = {each: row[each] for each in counts}
            return Association(**figures, all_actors=total["actors"], all_converted=total["converted"])

        entries = {name: figures for kind, name in known if kind == "entry" and (figures := association("entry", name))}
        ids = _Ids({*self.taxonomy.ids, *(each.id for each in (*self.entries, *self.taxonomy.removed))})
        left_out: list[str] = []
        found: list[Suggestion] = []
        events = sorted(name for kind, name in known if kind == "event")
        for name in events:
            if name not in automatic_events() and not self._is_event_covered(name):
                found += self._event(name, association("event", name), ids, left_out)
        for page in candidates:
            found += _page(page, association("page", page.pattern), entries, ids, left_out)
        found += self._parameters(ids)
        found.sort(
            key=lambda each: (each.action == "carry", each.is_doubtful, -(each.actors or each.occurrences), each.id)
        )
        return [*found, *self._collapses(), *self._retired(entries)], left_out

    # What is covered

    def _is_event_covered(self, name: str) -> bool:
        return any(_listens_to(entry, name) for entry in self.entries)

    def _is_page_covered(self, page: _Page) -> bool:
        conditions = [
            condition
            for entry in self.entries
            if _listens_to(entry, "page_view")
            for clause in entry.where
            if getattr(clause, "none", None) is None  # what must not hold covers nothing
            for condition in clause.leaves()
            if condition.field == "page"
        ]
        return any(_holds(condition, path) for condition in conditions for path in page.examples)

    # What to add

    def _event(
        self, name: str, association: Association | None, ids: _Ids, left_out: list[str]
    ) -> Iterator[Suggestion]:
        if association is None or association.occurrences < _LEAST_OCCURRENCES or association.actors < _LEAST_ACTORS:
            return
        if not name.isprintable() or name != name.strip() or not name:
            left_out.append(f"the event {name!r}, whose name no taxonomy can hold")
            return
        guess = guess_event(name)
        yield _added(
            ids.new((guess.id if guess else "") or slug(name) or "event"),
            name,
            (),
            association,
            guess or _guess_by_figures(association),
            self._values_of(name),
            is_doubtful=guess is None,
        )

    def _values_of(self, event: str) -> tuple[str, ...]:
        return tuple(
            f"{use.parameter} = {use.values[0][0]}"
            for use in self.profile.uses
            if use.event == event and use.values and use.parameter not in plumbing_parameters()
        )[:3]

    def _parameters(self, ids: _Ids) -> Iterator[Suggestion]:
        clauses = [clause for entry in self.entries for clause in entry.where]
        named = {leaf.parameter for clause in clauses for leaf in clause.leaves() if leaf.parameter is not None}
        carried = {*self.config.taxonomy.carry, *named}
        for use in self.profile.uses:
            is_covered = self._is_event_covered(use.event)
            if (
                use.event in automatic_events()
                or use.parameter in plumbing_parameters()
                or use.parameter in carried
                or use.type != "string"
                or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,99}", use.parameter)
                or not use.event.isprintable()
            ):
                continue
            told = [(value, count) for value, count in use.values if _is_telling(value)]
            shown = tuple(value for value, _ in told[:3])
            if is_covered:
                if told and 1 < use.distinct_values <= _MOST_VALUES and use.found >= _LEAST_OCCURRENCES:
                    yield _carry(use, shown)
            elif 1 < use.distinct_values <= _MOST_VALUES:
                for value, count in told[:_MOST_OF_A_PARAMETER]:
                    is_worth_it = _LEAST_VALUE_SHARE <= count / use.events <= _MOST_VALUE_SHARE
                    if count >= _LEAST_OCCURRENCES and is_worth_it:
                        yield _value(use, value, count, ids)

    # What to change

    def _collapses(self) -> Iterator[Suggestion]:
        known = {entry.id: entry for entry in self.taxonomy.entries}
        for row in self.engine.query(repeats()).to_pylist():
            entry = known.get(row["micro_conversion"])
            share = row["repeats"] / row["occurrences"]
            if entry is None or not entry.is_observed or entry.collapse or entry.is_retired:
                continue
            if row["repeats"] >= _LEAST_REPEATS and share >= _LEAST_REPEAT_SHARE:
                yield _about(
                    "collapse",
                    entry,
                    row["occurrences"],
                    None,
                    f"{wording.count(row['repeats'])} of {wording.count(row['occurrences'])} occurrences "
                    f"({wording.share(share)}) follow one by the same client on the same page within a second",
                )

    def _retired(self, entries: Mapping[str, Association]) -> Iterator[Suggestion]:
        used = {self.taxonomy.counted(entry_id) for entry_id, _ in self.config.named()}
        made_of = {
            named for entry in self.taxonomy.entries if entry.derivation for _, named in entry.derivation.named()
        }
        goals = {*used, *made_of, *self.taxonomy.macros}
        for entry in self.taxonomy.entries:
            if entry.is_retired or entry.id in goals or entry.triggers:
                continue
            found = entries.get(entry.id)
            if found is None:
                yield _about("retire", entry, 0, 0, "never seen in what is staged, and nothing names it")
            elif (
                entry.kind == "secondary"
                and found.actors >= _RETIRE_ACTORS
                and found.all_converted >= _RETIRE_MACROS
                and found.at_most_times is not None
                and found.at_most_times < _RETIRE_BELOW
            ):
                yield _about(
                    "retire",
                    entry,
                    found.occurrences,
                    found.actors,
                    "nothing names it, and who did it converts hardly more often than others: "
                    f"{wording.decimal(found.times, 2)} times as often, "
                    f"{wording.decimal(found.at_most_times, 2)} at most",
                    found,
                )


def pages_by_name(rows: Sequence[Mapping[str, Any]]) -> list[_Page]:
    """Return the pages whose path says what they are, spellings and sub-pages together."""
    groups: dict[tuple[str, str], list[tuple[str, int]]] = {}
    guesses: dict[tuple[str, str], Guess] = {}
    for row in rows:
        path = row["page"]
        if not path.isprintable() or len(path) > 300:  # noqa: PLR2004 - nobody writes such a path into a file
            continue
        if (guess := guess_page(path)) is not None:
            key = (guess.id, _stem(path, guess).lower())
            groups.setdefault(key, []).append((path, row["clients"]))
            guesses.setdefault(key, guess)
    return [_pages(stem, found, guesses[entry_id, stem]) for (entry_id, stem), found in groups.items()]


def _stem(path: str, guess: Guess) -> str:
    """Return the path down to the part that says what it is, without a slash at its end."""
    parts = path.rstrip("/").split("/")
    shorter = "/".join(parts[:-1])
    tail = guess_page("/" + parts[-1])
    return "/".join(parts) if tail is not None and tail.id == guess.id else shorter


def _pages(stem: str, found: Sequence[tuple[str, int]], guess: Guess) -> _Page:
    spelled = sorted({path.rstrip("/")[: len(stem)] for path, _ in found})
    most_first = tuple(path for path, _ in sorted(found, key=lambda each: (-each[1], each[0])))
    if len(most_first) == 1:
        return _Page(f"^{_quoted(most_first[0])}$", ("equals", most_first[0]), guess, most_first)
    flags = "(?i)" if len(spelled) > 1 else ""
    pattern = f"{flags}^{_quoted(spelled[0].lower() if flags else spelled[0])}(?:[/;]|$)"
    return _Page(pattern, ("matches", pattern), guess, most_first)


def _quoted(text: str) -> str:
    """Escape a text for RE2; Python's own escapes characters that RE2 does not take."""
    return (
        re.sub(r"([^\w/\- ])", r"\\\1", text, flags=re.ASCII)
        if text.isascii()
        else "".join(
            each if not each.isascii() or re.fullmatch(r"[\w/\- ]", each, re.ASCII) else f"\\{each}" for each in text
        )
    )


def _page(
    page: _Page,
    association: Association | None,
    entries: Mapping[str, Association],
    ids: _Ids,
    left_out: list[str],
) -> Iterator[Suggestion]:
    if association is None or page.guess is None or association.actors < _LEAST_ACTORS:
        return
    if association.actors < association.all_actors * _LEAST_PAGE_SHARE:
        return
    if twin := next((name for name, other in entries.items() if _is_same(association, other)), None):
        left_out.append(f"{page.examples[0]}, which goes with {twin}")
        return
    wanted = f"{page.guess.id}_page"
    entry_id = ids.new(wanted)
    yield _added(
        entry_id,
        "page_view",
        (("field", "page"), page.condition),
        association,
        page.guess,
        page.examples[:3],
        is_doubtful=entry_id != wanted or not association.converted_after,
    )


def _is_same(one: Association, other: Association) -> bool:
    """Whether two are so alike in their figures that they are most probably one step, tracked twice."""
    pairs = (
        (one.actors, other.actors),
        (one.occurrences, other.occurrences),
        (one.converted, other.converted),
    )
    return all(abs(a - b) <= _SAME_WITHIN * max(a, b) for a, b in pairs)


def _added(  # noqa: PLR0917 - what an entry is, in the order of a file
    entry_id: str,
    event: str,
    condition: tuple[tuple[str, str], ...],
    association: Association,
    guess: Guess,
    shown: tuple[str, ...],
    *,
    is_doubtful: bool = False,
) -> Suggestion:
    operand = condition[-1] if condition else None
    return Suggestion(
        "add",
        entry_id,
        f"{event} where {condition[0][1]} {operand[0]} {operand[1]}" if operand else event,
        association.occurrences,
        association.actors,
        guess.kind,
        guess.stage,
        guess.reason,
        tuple(masked(each) for each in shown),
        association.of_did,
        association.of_others,
        association.times,
        association.converted_after,
        is_doubtful,
        association.sentence(),
        guess.mindset,
        guess.friction,
        event,
        condition,
    )


def _value(use: ParameterUse, value: str, count: int, ids: _Ids) -> Suggestion:
    guess = guess_event(value) or guess_event(use.event)
    share = wording.share(count / use.events)
    reason = f"{share} of {use.event}; what such a value means, only you know"
    return Suggestion(
        "add",
        ids.new(f"{slug(use.event)}_{slug(value)}".strip("_") or "event"),
        f"{use.event} where {use.parameter} equals {value}",
        count,
        None,
        guess.kind if guess else "secondary",
        guess.stage if guess else "awareness",
        f"{reason} ({guess.reason})" if guess else reason,
        (value,),
        None,
        None,
        None,
        None,
        True,
        "Raw association: unknown before it is staged",
        guess.mindset if guess else None,
        guess.friction if guess else "",
        use.event,
        (("parameter", use.parameter), ("equals", value)),
    )


def _carry(use: ParameterUse, shown: tuple[str, ...]) -> Suggestion:
    return Suggestion(
        "carry",
        use.parameter,
        use.event,
        use.found,
        None,
        "",
        "",
        f"{wording.count(use.distinct_values)} values, on {wording.share(use.found / use.events)} of {use.event}",
        shown,
        None,
        None,
        None,
        None,
        False,
        "",
        None,
        "",
        use.event,
        (),
    )


def _about(  # noqa: PLR0917 - as `Suggestion`
    action: Action,
    entry: MicroConversion,
    occurrences: int,
    actors: int | None,
    reason: str,
    association: Association | None = None,
) -> Suggestion:
    return Suggestion(
        action,
        entry.id,
        entry.describe(),
        occurrences,
        actors,
        entry.kind,
        entry.stage,
        reason,
        (),
        association.of_did if association else None,
        association.of_others if association else None,
        association.times if association else None,
        association.converted_after if association else None,
        False,
        association.sentence() if association else "",
        entry.mindset,
        entry.friction,
        "",
        (),
    )


def _guess_by_figures(association: Association) -> Guess:
    """Guess the stage of what no word tells by how it goes with the macro-conversion."""
    times = association.times or 0.0
    stage: Literal["decision", "awareness"] = "decision" if times >= _STRONG else "awareness"
    said = f"who did it converts {wording.decimal(times)} times as often" if association.times else "no figure tells"
    return Guess("", stage, "secondary", f"nothing in its name tells what it is; {said}")


def _listens_to(entry: MicroConversion, event: str) -> bool:
    pattern = entry.event_pattern
    return event in entry.events or (pattern is not None and re.search(pattern.matches, event) is not None)


def _holds(condition: Condition, path: str) -> bool:
    return (
        path == condition.equals
        or path in (condition.any_of or ())
        or (condition.contains is not None and condition.contains in path)
        or (condition.starts_with is not None and path.startswith(condition.starts_with))
        or (condition.matches is not None and re.search(condition.matches, path) is not None)
    )


def _is_telling(value: str) -> bool:
    """Whether a value says something by itself: no mask, no number, no address."""
    said = value.strip()
    return (
        bool(re.search(r"[A-Za-z]{2}", said))
        and said == value
        and value.isprintable()
        and "<" not in value
        and "://" not in value
        and len(value) < 100  # noqa: PLR2004 - what is that long was cut
    )


_E_MAIL = re.compile(r"[^\s@/?&=:,;<>\"]+(?:@|%40)[^\s@/?&=:,;<>\"]+")
_NUMBER = re.compile(r"\+?[0-9][0-9 ().-]{5,}[0-9]")


def masked(text: str) -> str:
    """Take out of an example what may be somebody's e-mail address or number; as `sql/staging/parameters.sql` does."""
    return _NUMBER.sub("<number>", _E_MAIL.sub("<e-mail>", unquote(text, errors="replace")))


class _Ids:
    """Ids for new entries, none of them taken."""

    def __init__(self, taken: set[str]) -> None:
        self._taken = taken

    def new(self, wanted: str) -> str:
        base = re.sub(r"^[^a-z]+", "", wanted)[: _MOST_ID - 4].rstrip("_") or "entry"
        found, number = base, 2
        while found in self._taken:
            found, number = f"{base}_{number}", number + 1
        self._taken.add(found)
        return found
