"""What the figures of attribution rest on, in words."""

from __future__ import annotations

from collections.abc import Iterator

from microconv.analyses.attribution.query import MOST_STEPS, MOST_TOUCHPOINTS, PATH_MODELS, is_limited
from microconv.config.sections import AttributionConfig

_SESSIONS = {
    "channel_group": "its default channel group",
    "source_medium": "its source and medium",
    "campaign": "its campaign",
    "landing_page": "its landing page",
}


def assumptions_of(config: AttributionConfig) -> tuple[str, ...]:
    """Return the assumptions in force under a configuration; those of the path models come with their results."""
    return (*_touchpoints(config), *_conversions(config), *_models(config))


def _touchpoints(config: AttributionConfig) -> Iterator[str]:
    if config.touchpoint == "micro_conversion":
        which = ", ".join(config.micro_conversions) or f"any but {config.conversion}"
        yield f"A touchpoint is a micro-conversion: {which}."
        yield "It can earn credit when it came up to one window (included) before a conversion of its actor."
        yield "What the same event is beside the conversion earns nothing for it."
    else:
        yield f"A touchpoint is a session with {_SESSIONS[config.touchpoint]}."
        yield "It can earn credit when it started up to one window (included) before a conversion of its actor."
        if config.touchpoint != "landing_page":
            yield "A session without a source of its own counts as Direct, whatever earlier source it took over."
    if is_limited(config):
        yield f"The {MOST_TOUCHPOINTS} touchpoints with most sessions are told apart; the others are (other)."


def _conversions(config: AttributionConfig) -> Iterator[str]:
    yield "Conversions of one property with the same transaction id count once, the earliest; those without one, each."
    if config.count == "actors":
        yield "Of an actor only the first conversion in the data counts."
    elif config.count == "sessions":
        yield "Of a session only the first conversion counts; outside sessions each counts."
    if config.since == "last_conversion":
        if config.touchpoint == "micro_conversion":
            yield "A touchpoint counts for the first counted conversion after it, not for later ones."
        else:
            yield (
                "A session counts for the first counted conversion after its start, not for later ones: "
                "a second conversion of the same session has that session as no touchpoint."
            )
    yield "Conversions without a touchpoint in the window are untouched: their credit goes to nobody."
    yield "Touchpoints before the first staged day are unknown, so early conversions see less than the window."


def _models(config: AttributionConfig) -> Iterator[str]:
    if "time_decay" in config.models:
        yield f"time_decay halves the weight of a touchpoint for every {config.half_life} before the conversion."
    if "last_non_direct" in config.models and config.touchpoint == "micro_conversion":
        yield "last_non_direct equals last: no micro-conversion is direct."
    if "position" in config.models:
        first, middle, last = config.position_weights
        two = (first / (first + last), last / (first + last)) if first + last else (0.5, 0.5)
        of_two = f"{two[0]:.0%} and {two[1]:.0%}" if two[0] != two[1] else "50 % each"
        yield (
            f"position gives {_percent(first)} to the first touchpoint, {_percent(last)} to the last, "
            f"{_percent(middle)} to all between; {of_two} of two."
        )
    if any(model in config.models for model in PATH_MODELS):
        yield (
            f"markov and shapley see paths of the last {MOST_STEPS} touchpoints of a journey"
            + {
                "unique": "",
                "exposure": ", in which repeats that follow each other are one",
                "first": ", in which a touchpoint stands only where it came first",
            }[config.path]
            + "; rule models see every touchpoint."
        )
        yield (
            "A journey that did not convert is what an actor did after the last conversion, within one window "
            "before its own last touchpoint"
            + (", unless the actor has converted." if config.count == "actors" else ".")
        )
    yield "Every model is a convention: none of them shows what a touchpoint caused."


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"
