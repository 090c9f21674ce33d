"""What microconv can answer and where it can send: plain tables, from which all else is derived.

Nothing is loaded before it is used. `mc_result_<name>`, `project.ask(name)`, the options of a command, `microconv sql`,
the tables of the report and of the documentation, and the tests that every question must pass come from these lines.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from microconv.errors import UsageError

if TYPE_CHECKING:
    from microconv.activation.destinations.base import Destination, DestinationSettings
    from microconv.config.destination_settings import DestinationConfig
    from microconv.config.sections import Config
    from microconv.engines.base import Engine
    from microconv.queries.templates import Query
    from microconv.question import Question
    from microconv.taxonomy import Taxonomy


class Line(NamedTuple):
    """One question: where its class is, what it answers, and the command line that asks it.

    Several questions may share a command: the option behind it picks one, with its value if it has some.
    """

    place: str
    answers: str
    command: str


QUESTIONS: dict[str, Line] = {
    "changes": Line(
        "analyses.key_figures:Changes", "Say what changed against the days before, beyond chance.", "changes"
    ),
    "coverage": Line("audit.coverage:Coverage", "Find micro-conversions that went missing, by day.", "coverage"),
    "funnel": Line("analyses.funnels.counts:Funnel", "Count a funnel, and ask more about it.", "funnel"),
    "funnel_breakdown": Line(
        "analyses.funnels.breakdown:FunnelBreakdown", "A funnel by the values of a property.", "funnel --by"
    ),
    "funnel_trend": Line(
        "analyses.funnels.trend:FunnelTrend", "A funnel by day or week of the start.", "funnel --trend"
    ),
    "funnel_times": Line("analyses.funnels.times:FunnelTimes", "Measure the time between steps.", "funnel --times"),
    "funnel_drop_off": Line(
        "analyses.funnels.drop_off:FunnelDropOff",
        "Show what those did next who were lost after each step.",
        "funnel --drop-off",
    ),
    "funnel_comparison": Line(
        "analyses.funnels.comparison:FunnelComparison", "A funnel for two segments or periods.", "funnel --against"
    ),
    "path_sequences": Line(
        "analyses.paths.path_questions:PathSequences",
        "Show the paths to or from a micro-conversion or page.",
        "paths --show sequences",
    ),
    "path_transitions": Line(
        "analyses.paths.path_questions:PathTransitions",
        "Show how often each node follows another, over whole journeys.",
        "paths --show transitions",
    ),
    "path_links": Line(
        "analyses.paths.path_questions:PathLinks", "Show the flow next to the point, by position.", "paths --show links"
    ),
    "experiment_read": Line(
        "experiments.experiment_reading:ExperimentRead",
        "Read an experiment: split, metrics, guardrails, funnel.",
        "experiment read",
    ),
    "experiment_plan": Line(
        "experiments.planning:ExperimentPlan", "Say how many actors and days an experiment needs.", "experiment plan"
    ),
    "experiment_list": Line(
        "experiments.registry:ExperimentList", "List experiments, and what was decided.", "experiment list"
    ),
    "discover": Line(
        "analyses.paths.discovery:Discover",
        "Propose a funnel: the milestones most actors pass before a goal.",
        "discover",
    ),
    "attribution": Line(
        "analyses.attribution.credits:Attribution",
        "Credit touchpoints for the goal, by model and lookback window.",
        "attribution",
    ),
    "attribution_comparison": Line(
        "analyses.attribution.agreement:AttributionComparison",
        "Show how far shares move between models, windows, weeks and by chance.",
        "attribution --compare",
    ),
    "channels": Line("analyses.channels:Channels", "Count sessions by default channel group.", "channels"),
    "hesitation": Line("analyses.hesitation:Hesitation", "Show between which mindsets people hesitate.", "hesitation"),
    "guardrails": Line(
        "guardrails.guardrails_question:Guardrails", "Say whether what must not get worse holds.", "guardrails"
    ),
    "lift": Line("analyses.insight.lift:Lift", "Show which small steps go with more conversions.", "lift"),
    "segment": Line("segments.size:Segment", "Count the members of a segment.", "segment"),
    "lifetime_value": Line(
        "analyses.insight.lifetime:LifetimeValue",
        "Say what a buyer is worth, and how many buy again.",
        "value --show lifetime",
    ),
    "retention_cohorts": Line(
        "analyses.insight.retention:RetentionCohorts",
        "Follow the buyers of one week or month through those that follow.",
        "value --show cohorts",
    ),
    "post_sale": Line(
        "analyses.insight.post_sale:PostSale",
        "Say who comes to what follows the sale, and when.",
        "value --show post_sale",
    ),
    "what_if": Line(
        "analyses.insight.what_if:WhatIf", "Say what more of a step would bring, to the goal and its value.", "what-if"
    ),
    "momentum": Line(
        "analyses.insight.momentum:Momentum",
        "Show who moves towards the goal, and who is stalled.",
        "momentum --show states",
    ),
    "momentum_weeks": Line(
        "analyses.insight.momentum:MomentumWeeks",
        "Show how the states of momentum move from week to week.",
        "momentum --show weeks",
    ),
    "suggest_segments": Line(
        "analyses.insight.suggest_segments:SuggestSegments",
        "Propose segments to build, ready to paste, and entries to retire.",
        "suggest-segments",
    ),
    "prioritize": Line(
        "priorities.prioritize:Prioritize", "Say what to do first, and how sure the order is.", "prioritize"
    ),
    "stage_times": Line(
        "analyses.insight.stage_times:StageTimes",
        "Measure how long actors take from one stage to the next.",
        "momentum --show times",
    ),
    "wavering": Line(
        "analyses.insight.wavering:Wavering",
        "Say between which mindsets people hesitate or turn back.",
        "momentum --show wavering",
    ),
    "momentum_score": Line(
        "analyses.insight.momentum_score:MomentumScore",
        "Say whether momentum foretells who converts better than recency and frequency.",
        "momentum --show score",
    ),
    "propensity": Line(
        "analyses.propensity.model_card:Propensity",
        "Show how likely actors are to reach a goal, and how sure that is.",
        "propensity",
    ),
    "leading": Line(
        "analyses.insight.leading:Leading", "Show which entry's daily rate moves before the goal's.", "leading"
    ),
    "thresholds": Line(
        "analyses.insight.thresholds:Thresholds",
        "Say from how many micro-conversions on a goal follows more often.",
        "thresholds",
    ),
    "combinations": Line(
        "analyses.insight.combinations:Combinations",
        "Say which small steps do more together than their parts.",
        "combinations",
    ),
    "content": Line(
        "analyses.insight.content:Content",
        "Say which pages, items, videos, campaigns or e-mails lead to which goal.",
        "content",
    ),
}
"""All questions; of those that share a command, the first is asked unless an option picks another."""


class DestinationLine(NamedTuple):
    """One kind of destination: where its class is, and what it takes."""

    place: str
    takes: str


DESTINATIONS: dict[str, DestinationLine] = {
    "file": DestinationLine(
        "activation.destinations.file:FileDestination",
        "Files to upload, as Google Ads, Meta, TikTok and others take them, or CSV, JSON lines, Parquet.",
    ),
    "table": DestinationLine(
        "activation.destinations.engine_table:EngineTableDestination",
        "A table of the engine: who is on each list now, and every change.",
    ),
    "webhook": DestinationLine(
        "activation.destinations.webhook:WebhookDestination",
        "Signed requests to a service of your own, or to Klaviyo, HubSpot, Mailchimp or Braze.",
    ),
    "google_ads": DestinationLine(
        "activation.destinations.google_ads:GoogleAdsDestination",
        "Customer Match lists of Google Ads, kept by Google's Data Manager API.",
    ),
    "meta": DestinationLine(
        "activation.destinations.meta:MetaDestination",
        "A custom audience of Meta for each segment, and conversions, by the Graph API.",
    ),
    "ga4": DestinationLine(
        "activation.destinations.ga4:Ga4Destination",
        "A user property of GA4 on the devices of who is in a segment, for audiences of GA4.",
    ),
}
"""Our kinds of destinations. Installed packages add theirs as entry points of the group `DESTINATION_GROUP`."""

DESTINATION_GROUP = "microconv.destinations"


QUERIES: tuple[str, ...] = (
    "staging.batch_queries:examples",
    "staging.export_findings:examples",
    "staging.erasures:examples",
    "staging.external:examples",
    "audit.suggestions:examples",
    "audit.reconciliation.export_figures:examples",
    "audit.tracking_audit:examples",
    "staging.first_look:examples",
    "staging.parameter_profile:examples",
    "staging.runs:examples",
    "staging.summary:examples",
    "staging.lineage:examples",
    "analyses.saving:examples",
    "staging.volumes:examples",
    "guardrails.guardrails_question:examples",
    "segments.members:examples",
    "segments.memberships:examples",
    "segments.propensity_rules:examples",
    "analyses.propensity.training:examples",
    "analyses.propensity.scoring:examples",
    "activation.audience.first_party:examples",
    "activation.push.list_plan:examples",
    "activation.push.ledger_views:examples",
    "activation.push.origins:examples",
    "activation.destinations.engine_table:examples",
    "activation.push.erasing:examples",
    "activation.push.explaining:examples",
    "activation.ga4_proof:examples",
    "activation.conversions.sending_conversions:examples",
    "activation.conversions.erased_conversions:examples",
)
"""Who else makes queries: functions from a configuration and its taxonomy to pairs of what a query is for, and it."""


@cache
def question_class(name: str) -> type[Question]:
    """Return the class of a question.

    Raises:
        UsageError: There is no such question; the message names those that there are.
    """
    if name not in QUESTIONS:
        raise UsageError(f"There is no question {name!r}.", hint=f"Ask one of {', '.join(QUESTIONS)}.")
    found: type[Question] = _load(QUESTIONS[name].place)
    return found


def name_of(question: Question) -> str:
    """Return the name of a question."""
    place = f"{type(question).__module__.removeprefix('microconv.')}:{type(question).__name__}"
    return next(name for name, line in QUESTIONS.items() if line.place == place)


def by_command() -> dict[str, dict[str, Line]]:
    """Return the questions that each command asks, in the order of the table; a command may be one of a group."""
    found: dict[str, dict[str, Line]] = {}
    for name, line in QUESTIONS.items():
        found.setdefault(line.command.partition(" --")[0], {})[name] = line
    return found


def questions_of(config: Config, taxonomy: Taxonomy) -> Iterator[tuple[str, Question]]:
    """Yield the questions that a configuration asks by itself, with their names."""
    for name in QUESTIONS:
        for question in question_class(name).of(config, taxonomy):
            yield name, question


def queries_of(config: Config, taxonomy: Taxonomy) -> Iterator[tuple[str | None, Query]]:
    """Yield the queries that a configuration makes, each with the part of the configuration that it is for, if any.

    A query that several questions share, such as those about paths, comes once. What is known only when a query runs
    (days, moments, runs) is an example, or left open.
    """
    from microconv.question import Context

    found: list[tuple[str | None, Query]] = []
    for _, question in questions_of(config, taxonomy):
        context = Context(config, taxonomy)
        queries = question.queries(context)
        asked = [(question.about, query) for query in (*context.looked_up, *queries)]
        found += [each for each in asked if each not in found]
    yield from found
    for place in QUERIES:
        yield from _load(place)(config, taxonomy)


def destination_class(kind: str) -> type[Destination]:
    """Return the class of a kind of destination, one of ours or of an installed package.

    Raises:
        UsageError: There is no such kind, its package cannot be loaded, or two packages add one kind.
    """
    from importlib.metadata import entry_points  # takes 10 ms, and only a configuration with destinations needs it

    added = {}
    for point in entry_points(group=DESTINATION_GROUP):
        package = f"the package {point.dist.name}" if point.dist else point.value
        if point.name in DESTINATIONS or point.name in added:
            raise UsageError(
                f'{package[:1].upper()}{package[1:]} adds a kind of destination called "{point.name}", and there is '
                "one already.",
                hint="Uninstall it, or ask its author for another name.",
            )
        added[point.name] = (point, package)
    if kind in DESTINATIONS:
        ours: type[Destination] = _load(DESTINATIONS[kind].place)
        return ours
    if kind not in added:
        from microconv.config.problems import nearest

        known = [*DESTINATIONS, *added]
        raise UsageError(
            f"There is no such kind of destination{nearest(kind, known)}.", hint=f"Choose one of {', '.join(known)}."
        )
    from microconv.activation.destinations.base import Destination

    point, package = added[kind]
    try:
        found = point.load()
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"{package[:1].upper()}{package[1:]} cannot be loaded ({error}).", hint="Install it again, or update it."
        ) from error
    if not (isinstance(found, type) and issubclass(found, Destination)):
        raise UsageError(
            f"What {package} adds as a destination, {point.value}, is not one.", hint="Ask its author, or update it."
        )
    return found


def destination_settings(kind: str) -> type[DestinationSettings]:
    """Return the settings of a kind of destination; see `destination_class`."""
    return destination_class(kind).settings_type


def destination(entry: DestinationConfig, file: Path, open_engine: Callable[[], Engine] | None = None) -> Destination:
    """Make the destination of an entry of the configuration in `file`; `open_engine` gives the engine of the project.

    Raises:
        UsageError: There is no such kind.
        ConfigError: Its keys cannot be used.
    """
    from microconv.config.load import read_destination

    kind = destination_class(entry.kind)
    made = kind(read_destination(entry, kind.settings_type, file))
    made.open_engine = open_engine
    return made


def _load(place: str) -> Any:  # noqa: ANN401 - whatever is there
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(f"microconv.{module}"), attribute)
