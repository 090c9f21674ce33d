"""Coverage by day and sessions by channel on the page."""

from __future__ import annotations

from collections.abc import Iterator

from microconv import wording
from microconv.analyses.channels import ChannelsResult
from microconv.audit.coverage import CoverageResult
from microconv.report.blocks import Block, Heat, Key, Picture, Plot, Said, Tabled
from microconv.report.data import ReportData
from microconv.report.figures import channel_figure
from microconv.report.heat import heat_map
from microconv.wording import Heading, Sheet


def coverage_blocks(data: ReportData) -> Iterator[Block]:
    """Yield the outages and the heat map."""
    result = data.result(CoverageResult)
    if result is None:
        yield Said("Coverage was not computed for this report.")
        return
    heat = heat_map(result)
    if heat is None:
        yield Said("No micro-conversion was seen on any staged day.")
        return
    summary = [
        "Each micro-conversion is compared with its own share of traffic on other days.",
        f"{wording.plural(len(result.outages), 'outage')} found." if result.outages else "No outage was found.",
    ]
    if result.never_seen:
        summary.append(f"Never seen: {wording.listed(result.never_seen, limit=len(result.never_seen))}.")
    if heat.days_left_out:
        summary.append(f"The {wording.plural(heat.days_left_out, 'earliest day')} of the period are not drawn.")
    yield Said(" ".join(summary))
    if result.outages:
        yield Tabled(
            Sheet(
                "Outages",
                (
                    *(Heading("Micro-conversion"), Heading("When"), Heading("Status"), Heading("Days", wording.count)),
                    *(Heading("Seen", wording.count), Heading("Expected", _about)),
                ),
                tuple(
                    (
                        outage.micro_conversion,
                        wording.period(outage.first_date, outage.last_date),
                        outage.status,
                        outage.days,
                        outage.occurrences,
                        outage.expected,
                    )
                    for outage in result.outages
                ),
            )
        )
    yield Heat(heat)


def _about(expected: float) -> str:
    return f"about {wording.decimal(expected, 0)}"


def channel_blocks(data: ReportData) -> Iterator[Block]:
    """Yield the sessions by channel."""
    result = data.result(ChannelsResult)
    if result is None:
        yield Said("Sessions were not counted for this report.")
        return
    yield Said(result.sentence)
    total = sum(row.sessions for row in result.channels)
    if total == 0:
        return
    table = Sheet(
        "Sessions by default channel group",
        (
            *(Heading("Channel"), Heading("Sessions", wording.count), Heading("Share", wording.share)),
            *(Heading("Engaged", wording.share), Heading("Actors", wording.count)),
            Heading("Page views per session", wording.decimal),
        ),
        tuple(
            (
                row.channel_group,
                row.sessions,
                row.sessions / total,
                wording.ratio(row.engaged_sessions, row.sessions),
                row.actors,
                wording.ratio(row.page_views, row.sessions),
            )
            for row in result.channels
        ),
    )
    label = f"Bar chart of sessions by channel. {result.sentence} The table after it has the same numbers."
    legend = (Key("Engaged sessions", "square", "--accent"), Key("Other sessions", "square", "--accent-soft"))
    yield Picture(Plot("channels-chart", label, channel_figure(result.channels), legend), table, is_beside=True)
