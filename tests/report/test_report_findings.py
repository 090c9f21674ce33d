"""The sentences that say what needs attention."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from report_sample import funnel

from microconv.analyses.attribution.results import Untouched
from microconv.analyses.channels import ChannelResult, ChannelSessions
from microconv.audit.coverage import CoverageResult, Outage
from microconv.report import findings

THIN = "\u202f"


def _of(data, kind):
    return [finding for finding in findings(data) if finding.kind == kind]


def test_an_outage_is_a_problem_with_its_dates_and_what_was_lost(report_data):
    outage = _of(report_data, "outage")[0]

    assert outage.severity == "problem"
    assert outage.section == "coverage"
    assert outage.text == "add_to_cart was missing from 3 to 4 November 2026 (2 days): 0 seen, about 234 expected."


def test_a_low_day_is_a_warning(report_data):
    low = _of(report_data, "outage")[1]

    assert low.severity == "warning"
    assert low.text == "search was far below what was expected on 9 November 2026: 11 seen, about 54 expected."


def test_an_outage_up_to_the_last_day_says_so(report_data):
    last = report_data.coverage.last_date
    outage = Outage("purchase", date(2026, 11, 17), last, 2, 0, 28.0, "missing")
    data = replace(report_data, coverage=replace(report_data.coverage, outages=(outage,)))

    assert _of(data, "outage")[0].text.endswith("28 expected. That is the last day there is.")


def test_many_outages_are_summed_up_after_the_five_that_lost_most(report_data):
    day = date(2026, 11, 1)
    outages = tuple(Outage(f"entry_{n}", day, day, 1, 0, float(n), "missing") for n in range(1, 9))
    data = replace(report_data, coverage=replace(report_data.coverage, outages=outages))

    texts = [finding.text for finding in _of(data, "outage")]

    assert [text.split()[0] for text in texts[:5]] == ["entry_8", "entry_7", "entry_6", "entry_5", "entry_4"]
    assert texts[5:] == ["3 more outages are listed with the coverage by day."]


def test_worst_comes_first(report_data):
    order = [finding.severity for finding in findings(report_data)]

    assert order == sorted(order, key=["problem", "warning", "note"].index)
    assert set(order) == {"problem", "warning", "note"}


def test_consentless_share_is_a_note_and_from_a_fifth_on_a_warning(report_data):
    note = _of(report_data, "consentless")[0]
    many = replace(report_data, summary=replace(report_data.summary, events=100, consentless_events=20))
    none = replace(report_data, summary=replace(report_data.summary, consentless_events=0))

    assert note.severity == "note"
    assert note.text.startswith(f"8.2% of the events came without consent (98{THIN}700 of 1{THIN}203{THIN}456).")
    assert _of(many, "consentless")[0].severity == "warning"
    assert _of(none, "consentless") == []


def test_unassigned_share_counts_sessions(report_data):
    finding = _of(report_data, "unassigned")[0]
    few = replace(
        report_data,
        channels=ChannelResult((ChannelSessions("Direct", 99, 9, 9, 9), ChannelSessions("Unassigned", 1, 1, 1, 1))),
    )

    assert finding.severity == "warning"
    assert finding.text.startswith(f"6.2% of the sessions have no channel (3{THIN}800 of 61{THIN}200 are Unassigned).")
    assert _of(few, "unassigned")[0].severity == "note"


def test_conversions_without_a_touchpoint_are_told_for_the_widest_window(report_data):
    finding = _of(report_data, "untouched")[0]

    assert finding.text.startswith("12 of 400 purchase conversions (3.0%) had no touchpoint within 30 days.")


def test_conversions_without_a_touchpoint_in_a_narrow_window_alone_need_no_attention(report_data):
    rows = (Untouched("1d", 100, 10.0), Untouched("30d", 0, 0.0))
    data = replace(report_data, attribution=replace(report_data.attribution, untouched=rows))

    assert _of(data, "untouched") == []


def test_no_conversion_at_all_is_a_warning(report_data):
    data = replace(report_data, attribution=replace(report_data.attribution, conversions=0, results=(), untouched=()))

    assert _of(data, "no_conversions")[0].text == "No purchase was seen, so no credit could be given."


def test_provisional_days_duplicates_and_unseen_entries_are_notes(report_data):
    assert _of(report_data, "provisional")[0].text == (
        "1 day is provisional: its numbers will change when the daily export lands."
    )
    assert _of(report_data, "duplicates")[0].text.startswith(f"1{THIN}204 exact duplicates were removed")
    assert _of(report_data, "never_seen")[0].text.startswith("select_promotion and share were never seen.")


def test_days_without_an_export_are_a_problem(report_data):
    data = replace(report_data, summary=replace(report_data.summary, days=28))

    finding = _of(data, "missing_days")[0]

    assert finding.severity == "problem"
    assert finding.text.startswith("2 days of 20 October to 18 November 2026 have no export")


def test_a_funnel_nobody_entered_is_a_warning(report_data):
    data = replace(report_data, funnels=(funnel("trial", {"sign_up": 0, "purchase": 0}),))

    assert _of(data, "empty_funnel")[0].text == (
        "No actor entered the funnel trial: its first step, sign_up, was never reached."
    )


def test_no_events_is_the_only_finding_before_the_first_sync(empty_data):
    assert [finding.kind for finding in findings(empty_data)] == ["no_events"]


def test_nothing_is_found_where_nothing_is_wrong(report_data):
    data = replace(
        report_data,
        summary=replace(report_data.summary, provisional_days=0, consentless_events=0, duplicates_removed=0),
        attribution=replace(report_data.attribution, untouched=()),
        coverage=CoverageResult(report_data.coverage.first_date, report_data.coverage.last_date, (), (), ()),
        channels=ChannelResult((ChannelSessions("Direct", 10, 5, 5, 20),)),
    )

    assert findings(data) == ()
