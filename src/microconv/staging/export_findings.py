"""What the staged export shows that its reader should know: facts of one query, and the findings they lead to.

To add one: a SELECT in `sql/operations/export_facts.sql`, and a function here that is listed in `READERS`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from microconv import wording
from microconv.config.sections import Config
from microconv.engines.base import Engine
from microconv.findings import Finding, worst_first
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.staging import runs
from microconv.staging.day_zones import Week, fit, misfits, read_week
from microconv.staging.external_findings import EXTERNAL_READERS
from microconv.staging.facts import Fact, Facts, Reader
from microconv.staging.runs import Run
from microconv.taxonomy import Taxonomy

_FEW_SELF_REFERRALS = 0.01
"""Below this share of all sessions they change no conclusion: every site has a few."""
_MOST_HOSTS = 3


def query(taxonomy: Taxonomy) -> Query:
    """Return the query of all facts."""
    valued = [entry.id for entry in taxonomy.entries if entry.value == "event"]
    external = sorted({name for entry in taxonomy.external_entries for name in entry.external})
    return templates.query("operations/export_facts", params={"valued": valued, "external_names": external})


def ask(engine: Engine, taxonomy: Taxonomy) -> Facts:
    """Ask for the facts of all that is staged.

    Raises:
        EngineError: The engine failed.
    """
    return Facts(tuple(Fact(**row) for row in engine.query(query(taxonomy)).to_pylist()))


def of_last_run(engine: Engine, taxonomy: Taxonomy) -> Facts | None:
    """Return the facts that the latest run kept; None when it has none, for instance since it failed.

    Raises:
        EngineError: The engine failed.
    """
    latest: Sequence[Run] = runs.list_runs(engine, limit=1).runs
    return Facts.read(latest[0].facts, query(taxonomy)) if latest else None


def findings(facts: Facts, config: Config) -> tuple[Finding, ...]:
    """Return what the facts say to the reader of this configuration's results, worst first."""
    return worst_first(finding for reader in READERS for finding in reader(facts, config))


def _currencies(facts: Facts, config: Config) -> Iterator[Finding]:
    """Say which values are not in the project's currency: nobody can add them up."""
    ours = config.project.currency
    others = [each for each in facts.of("currency") if each.subject not in ("", ours)]
    if not others:
        return
    others.sort(key=lambda each: (-each.occurrences, each.subject))
    theirs, converted = others[0], _converted(facts, config)
    if len(others) == 1 and theirs.occurrences == theirs.of_all:
        said = f"Every value in the export is in {theirs.subject}, and project.currency is {ours}."
        remedy = f"Set project.currency to {theirs.subject}."
    else:
        listed = wording.listed([f"{each.share} in {each.subject} ({_amount(each)})" for each in others])
        said = f"The export has values in other currencies than {ours}, the project's: {listed}."
        remedy = "Set project.currency to the currency of most values; each result names what is in another one."
    if all(converted.get(each.subject, 0) == each.occurrences for each in others):
        said += " They count with GA4's own conversion to US dollars."
        yield Finding("currency", "note", said, subject=theirs.subject)
        return
    if any(converted.get(each.subject) for each in others):
        said += " Those that GA4 converted to US dollars count so, the others do not: currencies are never added up."
    else:
        said += f" They do not count as {ours}: currencies are never added up."
    yield Finding("currency", "warning", said, remedy, subject=theirs.subject)


def _values_without_currency(facts: Facts, config: Config) -> Iterator[Finding]:
    """Say how many values name no currency: GA4 does not count them as revenue either."""
    project = config.project
    for each in facts.of("currency"):
        unclear = each.occurrences - _converted(facts, config).get("", 0)
        if each.subject or not unclear:
            continue
        named = f"{wording.count(unclear)} of {wording.count(each.of_all)} values in the export name no currency"
        if project.assume_currency:
            said = f"{named}. They count as {project.currency}, since project.assume_currency is true."
            yield Finding("value_without_currency", "note", said)
            continue
        yield Finding(
            "value_without_currency",
            "warning",
            f"{named}. They do not count as {project.currency}: nobody can tell which currency they are in.",
            "Send the parameter `currency` with each value, as GA4 asks for too. If they are all in "
            f"{project.currency}, set project.assume_currency = true.",
        )


def _converted(facts: Facts, config: Config) -> dict[str, int]:
    """Count by currency the values that GA4 converted to the project's, which it does for US dollars alone."""
    if config.project.currency != "USD":
        return {}
    return {each.subject: each.occurrences for each in facts.of("currency_in_usd")}


def _empty_days(facts: Facts, _config: Config) -> Iterator[Finding]:
    """Name the days whose daily shard holds nothing: GA4 makes no daily table of a day without events."""
    empty = facts.of("empty_day")
    if empty:
        days = sum(each.occurrences for each in empty)
        verb = "has" if days == 1 else "have"
        yield Finding(
            "empty_shards",
            "warning",
            f"{wording.count(days)} of {wording.plural(empty[0].of_all, 'day')} {verb} a daily shard without a single "
            f"event: {wording.listed([each.subject for each in reversed(empty)])}.",
            "If the site had visitors then, export or copy these days again.",
        )


_PLACEHOLDERS = {
    "user_id": "Such events count for their client alone, and nobody is reached by such an id.",
    "transaction_id": "Purchases without an id count as often as they are reported.",
    "user_pseudo_id": "Such events have no client: they are in no session, funnel or segment.",
}
"""What follows from a placeholder in place of each id."""


def _placeholder_ids(facts: Facts, _config: Config) -> Iterator[Finding]:
    """Say how many ids are what a broken tag sends in place of one."""
    for each in facts.of("placeholder_id"):
        yield Finding(
            "placeholder_ids",
            "warning",
            f"{each.share} values of {each.subject} in the export are placeholders, "
            "such as undefined, null, (not set) or 0. "
            f"{_PLACEHOLDERS[each.subject]}",
            f"Mend the tag: send {each.subject} only when it is known.",
            subject=each.subject,
        )


def _sessionless(facts: Facts, _config: Config) -> Iterator[Finding]:
    """Say how many events come from clients without a session: nobody knows where these came from."""
    for each in facts.of("sessionless"):
        yield Finding(
            "clients_without_session",
            "warning" if each.occurrences * 100 >= each.of_all else "note",
            f"{each.share} events in the export come from clients that have no session on that day: "
            "they have no ga_session_id. What they do has no source and no channel.",
            "Send ga_session_id with events of servers (Measurement Protocol) and of tags of your own.",
        )


def _stray_events(facts: Facts, _config: Config) -> Iterator[Finding]:
    """Say how many events have a time that cannot be: a clock is wrong, whatever the zone."""
    for each in facts.of("stray_event"):
        verb = "has" if each.occurrences == 1 else "have"
        yield Finding(
            "stray_events",
            "warning",
            f"{each.share} events in the export {verb} a time outside of their day, in whatever time zone. They count "
            "on the day of their shard, and at their own time in funnels, paths and attribution.",
            "Check the clocks of what sends events, and imports that set event_timestamp.",
        )


def _time_zone(facts: Facts, config: Config) -> Iterator[Finding]:
    """Say where days begin that do not begin at midnight of project.timezone, once for each property."""
    ours = config.project.timezone
    by_property: dict[str, list[Week]] = {}
    for each in facts.of("day_offsets"):
        week = read_week(each.subject, each.occurrences)
        by_property.setdefault(week.property_id, []).append(week)
    for property_id, weeks in by_property.items():
        wrong, best = misfits(ours, weeks), fit(weeks)
        # A stray clock is no reason to doubt the zone, and where nothing fits better, nothing better can be said.
        if wrong * _STRAY_DAYS < best.days or best.misfits * _FITS_BETTER > wrong:
            continue
        whose = f" of property {property_id}" if len(by_property) > 1 else ""
        yield Finding(
            "time_zone",
            "warning",
            f"project.timezone is {ours}, but the days of the export{whose} begin at {best}.",
            "Set project.timezone to the reporting time zone in GA4's property settings. No figure changes: days are "
            "those that GA4 wrote.",
            subject=property_id,
        )


_STRAY_DAYS = 10
"""A zone is doubted when at least one day in ten contradicts it."""
_FITS_BETTER = 4
"""Another one is named when it is contradicted a quarter as often, or never."""


def _self_referrals(facts: Facts, _config: Config) -> Iterator[Finding]:
    """Say which sessions the export calls referrals from the property's own pages: their real source is lost."""
    found = sorted(facts.of("self_referral"), key=lambda each: (-each.occurrences, each.subject))
    sessions = sum(each.occurrences for each in found)
    if not found or sessions < _FEW_SELF_REFERRALS * found[0].of_all:
        return
    hosts = [f"{each.subject} ({wording.count(each.occurrences)})" for each in found[:_MOST_HOSTS]]
    if others := len(found) - len(hosts):
        hosts.append(f"{wording.count(others)} more")
    conversions = round(sum(each.amount or 0.0 for each in found))
    yield Finding(
        "self_referral",
        "warning",
        f"{wording.count(sessions)} of {wording.count(found[0].of_all)} sessions "
        f"({wording.share(sessions / found[0].of_all)}), with {wording.count(conversions)} conversions, began on a "
        f"page that was reached from the property's own hosts: {wording.listed(hosts)}. GA4 split a visit there, and "
        "lost where it came from. Here no such host is a source: sessions by channel have their visitor's earlier "
        "source, or Direct, and attribution counts them as Direct. Whoever reads the export as it is credits Referral.",
        "In GA4, list your domains under Configure your domains and List unwanted referrals (Admin, Data streams, "
        "Configure tag settings), and check that the tag is on each page between them.",
        subject=found[0].subject,
    )


def _amount(each: Fact) -> str:
    return wording.money(each.amount or 0.0, each.subject).strip()


READERS: tuple[Reader, ...] = (
    _time_zone,
    _currencies,
    _values_without_currency,
    _empty_days,
    _placeholder_ids,
    _sessionless,
    _stray_events,
    _self_referrals,
    *EXTERNAL_READERS,
)
"""Who reads the facts, in the order in which findings of one severity are told."""


def examples(_config: Config, taxonomy: Taxonomy) -> Iterator[tuple[str | None, Query]]:
    """Yield the query of the facts."""
    yield None, query(taxonomy)
