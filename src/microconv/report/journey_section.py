"""The journey map: the stages from first interest to what follows the sale, with what is seen, lost and missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from microconv import wording
from microconv.analyses.funnels.drop_off import FunnelDropOffResult
from microconv.analyses.hesitation import HesitationResult
from microconv.analyses.insight.stage_times import StageTimesResult
from microconv.audit.coverage import CoverageResult
from microconv.findings import Finding
from microconv.report.blocks import Block, Journey, Points, Said, Signal, Stage
from microconv.report.data import ReportData
from microconv.report.dictionary import MapStage

SIGNALS_SHOWN = 8
"""Entries named at a stage; of the others, the number is told."""
_FRICTIONS_SHOWN = 3


def journey_blocks(data: ReportData) -> Iterator[Block]:
    """Yield the map, and what it says."""
    if data.dictionary is None:
        return
    seen = _seen(data)
    stages = tuple(_stage(each, seen, data) for each in data.dictionary.stages)
    silent = silent_stages(data)
    never = sum(not seen.get(entry.entry.id) for each in data.dictionary.stages for entry in each.entries)
    total = sum(len(each.entries) for each in data.dictionary.stages)
    said = f"{wording.count(total - never)} of {wording.count(total)} micro-conversions of the taxonomy were seen."
    if silent:
        verb = "has" if len(silent) == 1 else "have"
        named = wording.listed([each.capitalize() for each in silent])
        said += f" {named} {verb} no signal: what people do there is not seen."
    else:
        said += " Every stage has a signal."
    yield Said(said)
    yield Journey(stages)
    if friction := [
        f"{name}: {text}" for stage in data.dictionary.stages for name, text in stage.frictions if seen.get(name)
    ]:
        yield Points("What the taxonomy knows of friction, where it was seen", tuple(friction))


def silent_stages(data: ReportData) -> tuple[str, ...]:
    """Return the stages of which nothing was seen in the days of the page."""
    if data.dictionary is None or not data.summary.events:
        return ()
    seen = _seen(data)
    return tuple(
        stage.name for stage in data.dictionary.stages if not any(seen.get(each.entry.id) for each in stage.entries)
    )


def silent_stage_findings(data: ReportData) -> Iterator[Finding]:
    """Yield a finding for each stage without a signal."""
    for stage in silent_stages(data):
        yield Finding(
            "silent_stage",
            "warning",
            f"The stage {stage} has no signal: nothing that the taxonomy names there was seen.",
            "Track what people do there, or say in the taxonomy what counts.",
            subject=stage,
        )


def _seen(data: ReportData) -> Counter[str]:
    """Count occurrences in the days of the page, by entry; all that is staged, where coverage was not asked for."""
    found: Counter[str] = Counter()
    coverage = data.result(CoverageResult)
    if coverage is not None:
        for day in coverage.days:
            found[day.micro_conversion] += day.occurrences
    elif data.dictionary is not None:
        for each in data.dictionary.entries:
            found[each.entry.id] += each.volume.occurrences if each.volume else 0
    return found


def _stage(stage: MapStage, seen: Counter[str], data: ReportData) -> Stage:
    there = sorted((each for each in stage.entries if seen[each.entry.id]), key=lambda each: -seen[each.entry.id])
    never = [each.entry.id for each in stage.entries if not seen[each.entry.id]]
    signals = [
        Signal(each.entry.id, wording.count(seen[each.entry.id]), is_macro=each.entry.kind == "macro")
        for each in there
        if not each.entry.is_hesitation
    ]
    gaps = []
    if not stage.entries:
        gaps.append("The taxonomy has no entry here.")
    elif never:
        gaps.append(f"{wording.count(len(never))} of {wording.count(len(stage.entries))} never seen: {_named(never)}.")
    return Stage(
        stage.name.capitalize(),
        tuple(signals[:SIGNALS_SHOWN]),
        len(signals) - len(signals[:SIGNALS_SHOWN]),
        tuple(_friction(stage, data))[:_FRICTIONS_SHOWN],
        tuple(gaps),
    )


def _named(names: list[str]) -> str:
    return wording.listed(names, limit=SIGNALS_SHOWN)


def _friction(stage: MapStage, data: ReportData) -> Iterator[str]:
    """Say what people do here that shows friction: who moves on, who is lost, who hesitates."""
    ids = {each.entry.id for each in stage.entries}
    for times in data.results(StageTimesResult):
        for row in times.rows:
            if row.from_stage == stage.name and row.within_week is not None:
                yield f"{wording.share(row.within_week)} move on within 7 days."
    for funnel in data.results(FunnelDropOffResult)[:1]:
        worst = max((step for step in funnel.steps if step.step in ids), key=lambda step: step.lost, default=None)
        if worst is not None and worst.lost:
            lost = f"{wording.count(worst.lost)} {funnel.count} did not come to the next step"
            yield f"{lost} of {funnel.funnel} after {worst.step}."
    hesitations: Counter[str] = Counter()
    for result in data.results(HesitationResult):
        for each in result.transitions:
            if each.micro_conversion in ids:
                hesitations[each.micro_conversion] += each.occurrences
    if hesitations:
        most = [f"{name} {wording.count(number)}" for name, number in hesitations.most_common(3)]
        yield f"Hesitation: {', '.join(most)}."
