"""The gate before anything is sent: guardrails that must hold, and questions of ethics that must be answered.

It is asked once in a run, before the first request. It stops additions alone: whoever refused, or was erased, is taken
off all the same, which needs no guardrail.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from microconv.activation.guards import Told
from microconv.config.conversion_settings import ConversionConfig
from microconv.config.load import find_named
from microconv.config.sections import Config
from microconv.config.segment_settings import SegmentConfig
from microconv.engines.base import Engine, PutRow
from microconv.engines.tables import Column, Table
from microconv.errors import FindingsError
from microconv.guardrails.ethics import check_questions, open_words, unanswered
from microconv.guardrails.guardrail_states import GuardrailState
from microconv.guardrails.guardrails_question import guardrail_state
from microconv.question import Context
from microconv.taxonomy import Taxonomy

GUARDRAIL_CHECKS = Table(
    "mc_guardrail_checks",
    "One row for each guardrail that was looked at before something was sent.",
    ("run_id", "kind", "name", "destination", "guardrail"),
    (
        Column("run_id", "STRING", "the push, export or sending of conversions"),
        Column("checked_at", "TIMESTAMP", "when (UTC)"),
        Column("kind", "STRING", "segment or conversion"),
        Column("name", "STRING", "name of the segment or conversion"),
        Column("destination", "STRING", "name of the destination"),
        Column("guardrail", "STRING", "name of the guardrail"),
        Column("state", "STRING", "ok, warning, breached or not measured"),
        Column("decision", "STRING", "passed, stopped, or allowed by --allow-guardrail"),
        Column("value", "FLOAT64", "the figure; NULL where it is not measured"),
        Column("low", "FLOAT64", "lower end of its 95% interval"),
        Column("high", "FLOAT64", "upper end"),
        Column("direction", "STRING", "at most or at least"),
        Column("bound", "FLOAT64", "the bound"),
        Column("first_date", "DATE", "first day of the window"),
        Column("last_date", "DATE", "last day of the window"),
        Column("says", "STRING", "why it is not measured, or what is to be looked at"),
    ),
)


@dataclass
class SendingGate:
    """The gate of one run.

    Attributes:
        config: The configuration.
        taxonomy: The taxonomy.
        engine: Where the staged tables are.
        now: The current time, aware of its zone.
        run_id: The run that sends.
        allowed: Names of guardrails that let this run through.
        is_kept: Whether what was found is written down: not in a dry run.
    """

    config: Config
    taxonomy: Taxonomy
    engine: Engine
    now: datetime
    run_id: str
    allowed: Collection[str] = ()
    is_kept: bool = True
    _states: dict[str, GuardrailState] = field(default_factory=dict, init=False)
    _context: Context = field(init=False)

    def __post_init__(self) -> None:
        self._context = Context(self.config, self.taxonomy, lambda: self.engine)

    def measure(self, segments: Iterable[SegmentConfig] = (), conversions: Iterable[ConversionConfig] = ()) -> None:
        """Measure what these name, all of it before anything is sent.

        Raises:
            UsageError: A guardrail is let through that there is not.
            ConfigError: The configuration answers a question that there is not.
        """
        for name in self.allowed:
            find_named(self.config.guardrails, name, "guardrail")
        check_questions(self.config)
        naming: list[SegmentConfig | ConversionConfig] = [*segments, *conversions]
        for each in naming:
            for name in self._names(each):
                if name not in self._states:
                    self._states[name] = guardrail_state(name, self._context, self.now)

    def pass_segment(self, segment: SegmentConfig, destination: str, told: Told) -> tuple[str, ...]:
        """Let a segment pass to a destination; return what people should look at.

        Raises:
            FindingsError: A guardrail is breached, or nobody can tell, or a question is open.
        """
        ethics = self.config.ethics
        today = self.now.astimezone(ZoneInfo(self.config.project.timezone)).date()
        found = unanswered(ethics, f"segment {segment.name}", segment.ethics, today)
        warnings = self._pass("segment", segment, destination, told)
        if not found:
            return warnings
        said = f"Segment {segment.name}: of the checklist of ethics, {open_words(found)}"
        if not ethics.stop:
            return (*warnings, f"{said}.")
        raise FindingsError(
            f"{said}; that stops the {told.what}. {told.untouched}",
            hint=f"`microconv ethics` shows the questions; answer them under [segments.ethics] of {segment.name}.",
        )

    def pass_conversion(self, conversion: ConversionConfig, told: Told) -> tuple[str, ...]:
        """Let a conversion pass; return what people should look at.

        Raises:
            FindingsError: A guardrail is breached, or nobody can tell.
        """
        return self._pass("conversion", conversion, conversion.destination, told)

    def said(self, what: SegmentConfig | ConversionConfig) -> tuple[str, ...]:
        """Say what each guardrail is that something names."""
        return tuple(f"{what.name}: {self._state(name).words}." for name in self._names(what))

    def _names(self, what: SegmentConfig | ConversionConfig) -> list[str]:
        return list(dict.fromkeys((*self.config.push.guardrails, *what.guardrails)))

    def _state(self, name: str) -> GuardrailState:
        if name not in self._states:
            self._states[name] = guardrail_state(name, self._context, self.now)
        return self._states[name]

    def _pass(self, kind: str, what: SegmentConfig | ConversionConfig, destination: str, told: Told) -> tuple[str, ...]:
        states = [self._state(name) for name in self._names(what)]
        stopping = [each for each in states if each.stops and each.guardrail not in self.allowed]
        self._keep(kind, what.name, destination, states)
        if stopping:
            names = " ".join(f"--allow-guardrail {each.guardrail}" for each in stopping)
            raise FindingsError(
                f"{kind.capitalize()} {what.name} at {destination}: {'; '.join(each.words for each in stopping)}; that "
                f"stops the {told.what}. {told.untouched}",
                hint="`microconv guardrails` shows all of them. Find out why before more people are addressed; to send "
                f"it once all the same, run again with {names}.",
            )
        return tuple(
            f"{what.name} at {destination}: {each.words}{', let through by --allow-guardrail' if each.stops else ''}."
            for each in states
            if each.state != "ok"
        )

    def _keep(self, kind: str, name: str, destination: str, states: Sequence[GuardrailState]) -> None:
        if not (self.is_kept and states):
            return
        self.engine.ensure(GUARDRAIL_CHECKS)
        of_run = {
            "run_id": self.run_id,
            "checked_at": self.now,
            "kind": kind,
            "name": name,
            "destination": destination,
        }
        rows = [
            {
                **of_run,
                "guardrail": each.guardrail,
                "state": each.state,
                "decision": "passed" if not each.stops else "allowed" if each.guardrail in self.allowed else "stopped",
                **{
                    column: getattr(each, column)
                    for column in ("value", "low", "high", "direction", "bound", "first_date", "last_date", "says")
                },
            }
            for each in states
        ]
        # A list that is planned anew since consent changed is looked at again.
        self.engine.apply([PutRow(GUARDRAIL_CHECKS, row) for row in rows])
