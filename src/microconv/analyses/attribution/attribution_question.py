"""What all questions about attribution share: goal, touchpoints, windows, models, and what templates are told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

from microconv import wording
from microconv.config.attribution_settings import AttributionConfig
from microconv.config.sections import Config, Period
from microconv.errors import ConfigError
from microconv.queries import templates
from microconv.queries.templates import Query, Value
from microconv.question import HIDDEN, Context, Option, Question, days, overlay, section_of
from microconv.result import OTHER
from microconv.taxonomy import Taxonomy

MOST_PAIRS = 1_000_000
"""Possible pairs of touches and conversions of one actor above which it is left out: a robot would pair millions."""

MOST_STEPS = 200
"""Touches of a journey that a path keeps, the last ones: a robot's would be endless."""

MOST_TOUCHPOINTS = 50
"""Sources, campaigns or landing pages that are told apart, those with most sessions; the others are one."""

ACTOR_GROUPS = 64
"""Groups of actors, by their key, that resampling draws from."""

PATH_MODELS = ("markov", "shapley")
"""Models that learn from paths; all others are rules for the touches of one conversion."""

_MANY_VALUED = ("source_medium", "campaign", "landing_page")
_DAY_SECONDS = 86_400
_MOST_GROUPS = 1_000_000
_MOST_HALF_LIVES = 1_000
"""Weights are powers of two in FLOAT64, which ends at 2 to the 1023."""

_DIRECT = {
    "drop_trailing": "Direct sessions after the last other touchpoint are left out of every path",
    "drop": "Direct sessions are left out of every path",
}

_SPEND = ("spend_file", "spend_table")

_SESSIONS = {
    "channel_group": "its default channel group",
    "source_medium": "its source and medium",
    "campaign": "its campaign",
    "landing_page": "its landing page",
}


class AttributionQuestion(AttributionConfig, Period, Question):
    """`[attribution]` of the configuration, for the conversions of some days; their touchpoints may be older."""

    options: ClassVar[Mapping[str, Option]] = {
        "goal": Option(metavar="ID"),
        "micro_conversions": Option("--micro-conversion", metavar="ID"),
        "windows": Option("--window", metavar="TIME"),
        "models": Option("--model"),
        "half_life": Option(metavar="TIME"),
        **dict.fromkeys(("position_weights", "self_loops", *_SPEND), HIDDEN),
    }
    configured: ClassVar[tuple[str, ...]] = tuple(AttributionConfig.model_fields)

    @classmethod
    def of(cls, config: Config, taxonomy: Taxonomy) -> Iterator[Self]:  # noqa: ARG003 - as the contract has it
        """Yield the question that `[attribution]` asks."""
        yield cls.asked(config, {})

    @classmethod
    def asked(cls, config: Config, given: Mapping[str, Any]) -> Self:
        """Return what `[attribution]` asks, with these keys changed.

        Where they name other touchpoints, what `[attribution]` says about its own is left out: which micro-conversions
        earn credit, or what sessions cost.
        """
        asked = overlay(config.attribution, given, exclusive=_SPEND)
        dropped: tuple[str, ...] = ()
        if "touchpoint" in given:
            dropped = _SPEND if given["touchpoint"] == "micro_conversion" else ("micro_conversions",)
        return section_of(cls, {key: value for key, value in asked.items() if key in given or key not in dropped})

    @property
    def is_limited(self) -> bool:
        """Whether only the most frequent touchpoints are told apart."""
        return self.touchpoint in _MANY_VALUED

    @property
    def learns(self) -> bool:
        """Whether a model learns from paths."""
        return any(model in PATH_MODELS for model in self.models)

    def goal_in(self, taxonomy: Taxonomy) -> str:
        """Return the id under which conversions are staged."""
        return taxonomy.goal(self.goal)

    def touchpoints(self, context: Context) -> tuple[str, ...]:
        """Return the touchpoints that are told apart, in the order of their numbers; of sessions, `OTHER` is the last.

        Sessions are looked up only where a query needs to know them.
        """
        if self.touchpoint == "micro_conversion":
            return self._named_touchpoints(context.taxonomy)
        if not (self.is_limited or self.learns):
            return (OTHER,)
        names = (row["touchpoint"] for row in context.look_up(self._touchpoints_query()))
        return (*(name for name in names if name != OTHER), OTHER)

    def _touchpoints_query(self) -> Query:
        return templates.query(
            "analyses/attribution/touchpoints",
            params={"most": MOST_TOUCHPOINTS if self.is_limited else _MOST_GROUPS},
            structure={"touchpoint": self.touchpoint},
        )

    def _named_touchpoints(self, taxonomy: Taxonomy) -> tuple[str, ...]:
        """Return the ids of the micro-conversions that are touchpoints: those named, or all but the goal."""
        if self.micro_conversions:
            return tuple(dict.fromkeys(map(taxonomy.counted, self.micro_conversions)))
        goal = self.goal_in(taxonomy)
        return tuple(entry for entry in dict.fromkeys(each.counts_as for each in taxonomy.entries) if entry != goal)

    def rules_query(self, context: Context, touchpoints: tuple[str, ...], *, grouped: bool = False) -> Query:
        """Return the query of the rule models; `grouped` splits all figures by week and group of actors.

        Raises:
            ConfigError: The half-life is so short against a window that weights would vanish.
        """
        longest = self.windows[-1]
        if longest.seconds > _MOST_HALF_LIVES * self.half_life.seconds:
            raise ConfigError(
                f"attribution.half_life of {self.half_life} is too short for the window {longest}: "
                f"more than {_MOST_HALF_LIVES} half-lives fit in.",
                hint="Use a longer half_life or shorter windows.",
            )
        params, structure = self._common(context, touchpoints, grouped=grouped)
        listed = self.touchpoint != "channel_group"
        if not listed:
            del params["touchpoints"]
        weights = zip(("first_weight", "middle_weight", "last_weight"), self.position_weights, strict=True)
        return templates.query(
            "analyses/attribution/credits",
            params={**params, "half_life_us": self.half_life.microseconds, **dict(weights)},
            structure={**structure, "listed": listed},
        )

    def paths_query(self, context: Context, touchpoints: tuple[str, ...], *, grouped: bool = False) -> Query:
        """Return the query of the paths that `PATH_MODELS` learn from."""
        params, structure = self._common(context, touchpoints, grouped=grouped)
        return templates.query(
            "analyses/attribution/paths", params={**params, "most_steps": MOST_STEPS}, structure=structure
        )

    def _common(
        self, context: Context, touchpoints: tuple[str, ...], *, grouped: bool
    ) -> tuple[dict[str, Value], dict[str, Any]]:
        params: dict[str, Value] = {
            **self._of_goal(context),
            "touchpoints": touchpoints,
            "most_pairs": MOST_PAIRS,
            **{f"window_us_{number}": window.microseconds for number, window in enumerate(self.windows, start=1)},
        }
        if grouped:
            params["actor_groups"] = ACTOR_GROUPS
        return params, {"windows": len(self.windows), **self._counting, "direct": self.direct, "grouped": grouped}

    def amounts_query(self, context: Context) -> Query | None:
        """Return the query of what conversions are worth by currency; None where the taxonomy says their value."""
        params = self._of_goal(context)
        if params["currency"] is None:
            return None
        return templates.query(
            "analyses/attribution/amounts", params=params, structure={**self._counting, "grouped": False}
        )

    def _of_goal(self, context: Context) -> dict[str, Value]:
        """Return which conversions, of which days, and in which currency their events' own values count."""
        goal, project = self.goal_in(context.taxonomy), context.config.project
        own = context.taxonomy.entry(goal).value == "event"
        return {
            "conversion": goal,
            "currency": project.currency if own else None,
            "assumed_currency": project.currency if own and project.assume_currency else None,
            **days(self),
        }

    @property
    def _counting(self) -> dict[str, Any]:
        """How conversions are counted."""
        return {"touchpoint": self.touchpoint, "count": self.count, "resets": self.reset_after_conversion}

    def assumptions(self, goal: str) -> tuple[str, ...]:
        """Return the assumptions in force; those of the path models come with their results."""
        return (*self._of_touchpoints(goal), *self._of_conversions(), *self._of_models())

    def beyond_what_is_staged(self, context: Context) -> Iterator[str]:
        """Say which windows are longer than the period that is staged, so that they see no more than it holds."""
        (staged,) = context.look_up(templates.query("operations/span"))
        if staged["first_date"] is None:
            return
        days = (staged["last_date"] - staged["first_date"]).days + 1
        longer = [wording.window(each.text) for each in self.windows if each.seconds > days * _DAY_SECONDS]
        if longer:
            yield (
                f"Only {wording.plural(days, 'day')} {'is' if days == 1 else 'are'} staged: a window longer than that "
                f"({wording.listed(longer)}) sees no more than those days hold."
            )

    def _of_touchpoints(self, goal: str) -> Iterator[str]:
        if self.touchpoint == "micro_conversion":
            which = ", ".join(self.micro_conversions) or f"any but {goal}"
            yield f"A touchpoint is a micro-conversion: {which}."
            yield "It can earn credit when it came up to one window (included) before a conversion of its actor."
            yield "An event that is both a touchpoint and the conversion earns no credit for itself."
        else:
            yield f"A touchpoint is a session with {_SESSIONS[self.touchpoint]}."
            yield "It can earn credit when it started up to one window (included) before a conversion of its actor."
            if self.touchpoint != "landing_page":
                yield "A session without a source of its own counts as Direct, whatever earlier source it took over."
        if self.direct != "keep":
            yield (
                "No micro-conversion is direct, so that all stay in the paths."
                if self.touchpoint == "micro_conversion"
                else f"{_DIRECT[self.direct]}; a path that holds nothing else keeps them."
            )
        if self.is_limited:
            yield f"The {MOST_TOUCHPOINTS} touchpoints with most sessions are told apart; the others are (other)."

    def _of_conversions(self) -> Iterator[str]:
        yield (
            "An actor's conversions with the same transaction id in one property count once, as the earliest; without "
            "an id, each counts."
        )
        if self.count == "actors":
            yield "Only each actor's first conversion counts."
        elif self.count == "sessions":
            yield "Only each session's first conversion counts; outside a session, each counts."
        if self.reset_after_conversion:
            if self.touchpoint == "micro_conversion":
                yield "A touchpoint counts only for the first counted conversion after it."
            else:
                yield (
                    "A session counts only for the first counted conversion after its start, "
                    "not for a second one in the same session."
                )
        yield "Conversions without a touchpoint in the window are untouched: their credit goes to nobody."
        yield "Touchpoints before the first staged day are unknown, so early conversions see less than the window."

    def _of_models(self) -> Iterator[str]:
        if "time_decay" in self.models:
            yield (
                f"time_decay halves the weight of a touchpoint for every {wording.span(self.half_life.seconds)} "
                "before the conversion."
            )
        if "last_non_direct" in self.models and self.touchpoint == "micro_conversion":
            yield "last_non_direct equals last: no micro-conversion is direct."
        if "position" in self.models:
            first, middle, last = self.position_weights
            two = (first / (first + last), last / (first + last)) if first + last else (0.5, 0.5)
            halves = [wording.share(share) for share in two]
            of_two = f"{halves[0]} each" if halves[0] == halves[1] else " and ".join(halves)
            yield (
                f"position gives {wording.share(first)} to the first touchpoint, {wording.share(last)} to the last, "
                f"{wording.share(middle)} to all between; with only two, {of_two}."
            )
        if any(model in self.models for model in PATH_MODELS):
            yield (
                f"markov and shapley see paths of the last {MOST_STEPS} touchpoints of a journey"
                + {
                    "unique": "",
                    "exposure": ", in which repeats that follow each other are one",
                    "first": ", in which a touchpoint stands only where it came first",
                }[self.path]
                + "; rule models see every touchpoint."
            )
            yield (
                "A journey that did not convert is what an actor did after the last conversion, within one window "
                "before its own last touchpoint"
                + (", unless the actor has converted." if self.count == "actors" else ".")
            )
        yield "Every model is a convention: none of them shows what a touchpoint caused."


def left_out(actors: int | None, conversions: int) -> tuple[str, ...]:
    """Say who was left out for too many pairs (None: not known how many), and what became of their conversions."""
    if not conversions:
        return ()
    who = "Actors" if actors is None else wording.plural(actors, "actor")
    are, their = ("is", "its") if actors == 1 else ("are", "their")
    robots = f"{who} with more than {wording.count(MOST_PAIRS)} pairs of touchpoints and conversions, as robots have,"
    count = "counts" if conversions == 1 else "count"
    return (f"{robots} {are} left out: {their} {wording.plural(conversions, 'conversion')} {count} as untouched.",)
