"""Sessions by channel, and the summary of what is staged."""

from __future__ import annotations

from asking import answer
from microconv.analyses.channels import Channels, ChannelSessions
from microconv.staging.summary import StagedSummary, summary
from microconv.taxonomy import Taxonomy
from staged_rows import DAY, IN_MEMORY, day, occurrence, session, shard, staged

TAXONOMY = Taxonomy("shop", "1.0", ())


def test_channels_come_largest_first():
    rows = [
        session(0, 1, "Email", page_views=1, is_engaged=False),
        session(0, 2, "Direct", page_views=2, is_engaged=True),
        session(0, 3, "Direct", page_views=3, is_engaged=False),
    ]
    with staged(IN_MEMORY, mc_sessions=rows) as engine:
        result = answer(engine, Channels(), TAXONOMY)
    assert result.channels == (ChannelSessions("Direct", 2, 1, 1, 5), ChannelSessions("Email", 1, 0, 1, 1))


def test_sessions_count_on_the_days_asked_for():
    rows = [session(number * DAY, number, "Email", session_date=day(1 + number)) for number in range(4)]
    with staged(IN_MEMORY, mc_sessions=rows) as engine:
        found = [
            sum(row.sessions for row in answer(engine, Channels(since=since, until=until), TAXONOMY).channels)
            for since, until in ((None, None), (day(2), None), (None, day(1)), (day(2), day(3)), (day(5), None))
        ]
    assert found == [4, 3, 1, 2, 0]


def test_summary_counts_what_is_staged():
    with staged(
        IN_MEMORY,
        mc_shards=[shard(1, events=5, consentless_events=2), shard(2, events=3, kind="intraday", duplicates_removed=1)],
        mc_sessions=[session(0, 1, "Email", is_engaged=True)],
        mc_micro_conversions=[occurrence(0, "purchase")],
    ) as engine:
        assert summary(engine) == StagedSummary(day(1), day(2), 2, 1, 8, 2, 1, 1, 1, 1, 1)


def test_empty_tables_give_zeros():
    with staged(IN_MEMORY) as engine:
        assert answer(engine, Channels(), TAXONOMY).channels == ()
        assert summary(engine) == StagedSummary(None, None, 0, 0, 0, 0, 0, 0, 0, 0, 0)
