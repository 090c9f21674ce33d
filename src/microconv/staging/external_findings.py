"""What tables of other systems show that the reader of results should know: rows refused, names nobody counts."""

from __future__ import annotations

import json
from collections.abc import Iterator

from microconv import wording
from microconv.config.sections import Config
from microconv.findings import Finding
from microconv.staging.external_plan import ExternalPlan
from microconv.staging.external_rows import Refusal
from microconv.staging.facts import Fact, Facts, Reader

_FEW_STRANGERS = 0.5
"""More than this share of rows without anybody in the export is worth a warning: a CRM knows others, too."""
_NAMES = 5


def external_findings(planned: ExternalPlan) -> Iterator[Finding]:
    """Say which tables are gone, and where there never was one."""
    for name in planned.absent:
        yield Finding(
            "external_absent",
            "warning",
            f"There is nothing to read for the external table {name}.",
            "Correct its `path` or `table` in the configuration.",
            subject=name,
        )
    if planned.kept:
        files = wording.listed([str(row["file"]) for row in planned.kept])
        yield Finding(
            "external_gone",
            "warning",
            f"{wording.plural(len(planned.kept), 'external table')} that was read is gone: {files}. "
            "What was read of it stays staged.",
            "Put it back; or, to remove its rows, take its section out of the configuration, sync, and put it back.",
            subject=str(planned.kept[0]["source"]),
        )


def refused_rows(facts: Facts, _config: Config) -> Iterator[Finding]:
    """Name the rows that are not staged, by file: why, and where the first stand."""
    for each in facts.of("external_refused"):
        found, end = json.JSONDecoder().raw_decode(each.subject)
        source, _, file = each.subject[end:].strip().partition(" ")
        refusals = [Refusal(**one) for one in found]
        reasons = "; ".join(f"{_counted(one)}: {one}" for one in refusals)
        remedy = "Correct these rows; a file that changed is read again."
        if any(one.reason == "future" for one in refusals):
            remedy += " What lies in the future counts once it has come."
        yield Finding(
            "external_refused",
            "warning",
            f"{each.share} rows of {file} ({source}) are not staged. {reasons}.",
            remedy,
            subject=source,
        )


def _counted(refusal: Refusal) -> str:
    places = [str(place) for place in refusal.places]
    more = ", …" if refusal.rows > len(places) else ""
    return f"{wording.plural(refusal.rows, 'row')} (line {', '.join(places)}{more})"


def unknown_names(facts: Facts, _config: Config) -> Iterator[Finding]:
    """Say which rows no entry of the taxonomy counts."""
    by_source: dict[str, list[Fact]] = {}
    for each in facts.of("external_unknown_name"):
        by_source.setdefault(each.subject.partition(" ")[0], []).append(each)
    for source, found in by_source.items():
        rows = sum(each.occurrences for each in found)
        names = round(sum(each.amount or 0.0 for each in found))
        told = [(each.occurrences, name) for each in found if (name := each.subject.partition(" ")[2])]
        told.sort(key=lambda one: (-one[0], one[1]))
        shown = [f"{name} ({wording.count(count)})" for count, name in told[:_NAMES]]
        if others := names - len(shown):
            shown.append(f"{wording.plural(others, 'other name')} (such as may be of a person are never shown)")
        yield Finding(
            "external_unknown_name",
            "warning",
            f"{wording.count(rows)} of {wording.count(found[0].of_all)} rows of {source} have a name that the taxonomy "
            f"does not count: {wording.listed(shown)}.",
            'Add an entry with `external = "<name>"` for each that matters.',
            subject=source,
        )


def strangers(facts: Facts, _config: Config) -> Iterator[Finding]:
    """Say how many rows are of users and clients that the export never shows: they join nothing."""
    for each in facts.of("external_stranger"):
        is_most = each.occurrences > _FEW_STRANGERS * each.of_all
        yield Finding(
            "external_stranger",
            "warning" if is_most else "note",
            f"{each.share} rows of {each.subject} are of users or clients that the export does not have: they count as "
            "actors of their own.",
            "Check that user_id is the one that the site sends to GA4, character by character." if is_most else "",
            subject=each.subject,
        )


def times_without_zone(facts: Facts, config: Config) -> Iterator[Finding]:
    """Say which zone stands in for one that is not said."""
    for each in facts.of("external_without_zone"):
        yield Finding(
            "external_without_zone",
            "note",
            f"{each.share} moments in {each.subject} say no UTC offset: they are read as times in "
            f"{config.project.timezone}.",
            subject=each.subject,
        )


def rows_before_the_export(facts: Facts, _config: Config) -> Iterator[Finding]:
    """Say how many rows are of days on which nothing else is known."""
    for each in facts.of("external_before"):
        yield Finding(
            "external_before",
            "note",
            f"{each.share} rows of {each.subject} are of days before the first that is staged: nothing else is known "
            "of them. Ask with --since to leave them out.",
            subject=each.subject,
        )


def repeated_rows(facts: Facts, _config: Config) -> Iterator[Finding]:
    """Say how many rows are exact repeats."""
    for each in facts.of("external_repeated"):
        yield Finding(
            "external_repeated",
            "note",
            f"{each.share} rows of {each.subject} repeat another one exactly, and do not count again.",
            subject=each.subject,
        )


EXTERNAL_READERS: tuple[Reader, ...] = (
    refused_rows,
    unknown_names,
    strangers,
    times_without_zone,
    rows_before_the_export,
    repeated_rows,
)
"""Who reads the facts about tables of other systems."""
