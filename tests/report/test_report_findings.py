"""The sentences that say what needs attention."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from report_sample import FIRST_DATE, LAST_DATE, answered, attribution, coverage, funnel

from microconv.analyses.attribution.credits import Untouched
from microconv.analyses.channels import ChannelSessions, ChannelsResult
from microconv.audit.coverage import CoverageResult, Outage
from microconv.report import attention
from microconv.report.attention import DETAILS


def _of(data, kind):
    return [finding for finding in attention(data) if finding.check == kind]


def test_an_outage_is_an_error_with_its_dates_and_what_was_lost(report_data):
    outage = _of(report_data, "outage")[0]

    assert outage.severity == "error"
    assert outage.subject == "add_to_cart"
    assert DETAILS[outage.check] == "coverage"
    assert outage.message == "add_to_cart was missing from 3 to 4 November 2026 (2 days): 0 seen, about 234 expected."


def test_a_low_day_is_a_warning(report_data):
    low = _of(report_data, "outage")[1]

    assert low.severity == "warning"
    assert low.message == "search was far below what was expected on 9 November 2026: 11 seen, about 54 expected."


def test_an_outage_up_to_the_last_day_says_so(report_data):
    last = coverage().last_date
    outage = Outage("purchase", date(2026, 11, 17), last, 2, 0, 28.0, "missing")
    data = answered(report_data, replace(coverage(), outages=(outage,)))

    assert _of(data, "outage")[0].message.endswith("28 expected. No later day is staged.")


def test_many_outages_are_summed_up_after_the_five_that_lost_most(report_data):
    day = date(2026, 11, 1)
    outages = tuple(Outage(f"entry_{n}", day, day, 1, 0, float(n), "missing") for n in range(1, 9))
    data = answered(report_data, replace(coverage(), outages=outages))

    texts = [finding.message for finding in _of(data, "outage")]

    assert [text.split()[0] for text in texts[:5]] == ["entry_8", "entry_7", "entry_6", "entry_5", "entry_4"]
    assert texts[5:] == ["3 more outages are listed with the coverage by day."]


def test_worst_comes_first(report_data):
    order = [finding.severity for finding in attention(report_data)]

    assert order == sorted(order, key=["error", "warning", "note"].index)
    assert set(order) == {"error", "warning", "note"}


def test_consentless_share_is_a_note_and_from_a_fifth_on_a_warning(report_data):
    note = _of(report_data, "consentless")[0]
    many = replace(report_data, summary=replace(report_data.summary, events=100, consentless_events=20))
    none = replace(report_data, summary=replace(report_data.summary, consentless_events=0))

    assert note.severity == "note"
    assert note.message.startswith("8.2% of the events came without consent (98,700 of 1,203,456).")
    assert _of(many, "consentless")[0].severity == "warning"
    assert _of(none, "consentless") == []


def test_unassigned_share_counts_sessions(report_data):
    finding = _of(report_data, "unassigned")[0]
    few = answered(
        report_data,
        ChannelsResult((ChannelSessions("Direct", 99, 9, 9, 9), ChannelSessions("Unassigned", 1, 1, 1, 1)), "", ()),
    )

    assert finding.severity == "warning"
    assert finding.message.startswith("6.2% of the sessions have no channel (3,800 of 61,200 are Unassigned).")
    assert _of(few, "unassigned")[0].severity == "note"


def test_conversions_without_a_touchpoint_are_told_for_the_widest_window(report_data):
    finding = _of(report_data, "untouched")[0]

    assert finding.message.startswith("12 of 400 purchase conversions (3.0%) had no touchpoint within 30 days.")


def test_conversions_without_a_touchpoint_in_a_narrow_window_alone_need_no_attention(report_data):
    rows = (Untouched("1d", 100, 10.0), Untouched("30d", 0, 0.0))
    data = answered(report_data, replace(attribution(), untouched=rows))

    assert _of(data, "untouched") == []


def test_no_conversion_at_all_is_a_warning(report_data):
    data = answered(report_data, replace(attribution(), conversions=0, results=(), untouched=()))

    assert _of(data, "no_conversions")[0].message == "No purchase was seen, so no credit could be given."


def test_provisional_days_duplicates_and_unseen_entries_are_notes(report_data):
    assert _of(report_data, "provisional")[0].message == (
        "1 day is provisional: its numbers will change when the daily export arrives."
    )
    assert _of(report_data, "duplicates")[0].message.startswith("1,204 exact duplicates were removed")
    assert _of(report_data, "never_seen")[0].message.startswith("select_promotion and share were never seen.")


def test_days_without_an_export_are_an_error(report_data):
    data = replace(report_data, summary=replace(report_data.summary, days=28))

    finding = _of(data, "missing_days")[0]

    assert finding.severity == "error"
    assert finding.message.startswith("2 days of 20 October to 18 November 2026 have no export")


def test_a_funnel_nobody_entered_is_a_warning(report_data):
    data = answered(report_data, funnel("trial", {"sign_up": 0, "purchase": 0}))

    assert _of(data, "empty_funnel")[0].message == (
        "No actor entered the funnel trial: its first step, sign_up, was never reached."
    )


def test_what_needs_care_says_what_to_do(report_data):
    data = answered(
        replace(report_data, summary=replace(report_data.summary, days=28, events=100, consentless_events=20)),
        funnel("trial", {"sign_up": 0, "purchase": 0}),
        replace(attribution(), untouched=(Untouched("30d", 200, 10.0),)),
    )
    found = [finding for finding in attention(data) if finding.severity in ("error", "warning")]

    assert {finding.check for finding in found} == {
        "missing_days",
        "outage",
        "consentless",
        "unassigned",
        "empty_funnel",
        "untouched",
    }
    assert all(finding.remedy.endswith(".") for finding in found)


def test_no_events_is_the_only_finding_before_the_first_sync(empty_data):
    assert [finding.check for finding in attention(empty_data)] == ["no_events"]


def test_nothing_is_found_where_nothing_is_wrong(report_data):
    summary = replace(report_data.summary, provisional_days=0, consentless_events=0, duplicates_removed=0)
    data = answered(
        replace(report_data, summary=summary),
        replace(attribution(), untouched=()),
        CoverageResult(FIRST_DATE, LAST_DATE, (), (), ()),
        ChannelsResult((ChannelSessions("Direct", 10, 5, 5, 20),), "", ()),
    )

    assert attention(data) == ()


def test_a_window_longer_than_the_staged_period_is_a_note(report_data):
    days = (report_data.summary.last_date - report_data.summary.first_date).days + 1

    def told(window: str) -> list[str]:
        rows = (Untouched("1d", 0, 0.0), Untouched(window, 0, 0.0))
        return [
            each.message for each in _of(answered(report_data, replace(attribution(), untouched=rows)), "short_history")
        ]

    assert told(f"{days}d") == []
    (message,) = told(f"{days + 1}d")
    assert message.startswith(f"The longest lookback window is {days + 1} days, and only {days} days are staged")
