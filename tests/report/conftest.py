"""A report's data with something to say in every section, and a real browser to look at the page."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime

import pytest
from playwright.sync_api import sync_playwright
from report_sample import CONVERSIONS, FIRST_DATE, LAST_DATE, answers, attribution, coverage, funnel

from microconv.analyses.attribution.credits import AttributionResult
from microconv.analyses.channels import ChannelSessions, ChannelsResult
from microconv.audit.coverage import CoverageResult
from microconv.report import ReportData
from microconv.staging.summary import StagedSummary


@pytest.fixture
def report_data() -> ReportData:
    return ReportData(
        project_name="Meridian Outfitters",
        timezone="Europe/Berlin",
        currency="EUR",
        generated_at=datetime(2026, 11, 19, 23, 5, tzinfo=UTC),
        version="0.1.0",
        summary=StagedSummary(
            first_date=FIRST_DATE,
            last_date=LAST_DATE,
            days=30,
            provisional_days=1,
            events=1_203_456,
            consentless_events=98_700,
            duplicates_removed=1_204,
            sessions=61_200,
            engaged_sessions=41_004,
            actors=48_310,
            micro_conversions=214_002,
        ),
        answers=answers(
            funnel(
                "purchase_journey",
                {"view_item": 20_400, "add_to_cart": 3_719, "begin_checkout": 1_204, "purchase": CONVERSIONS},
            ),
            funnel(
                "checkout", {"begin_checkout": 1_420, "add_shipping_info": 1_010, "purchase": 402}, count="sessions"
            ),
            attribution(),
            coverage(),
            ChannelsResult(
                (
                    ChannelSessions("Organic Search", 22_000, 15_000, 18_000, 91_000),
                    ChannelSessions("Direct", 18_000, 11_004, 15_500, 60_100),
                    ChannelSessions("Paid Search", 12_000, 8_500, 10_400, 49_000),
                    ChannelSessions("Email", 4_100, 3_400, 2_900, 22_500),
                    ChannelSessions("Unassigned", 3_800, 2_100, 3_300, 9_200),
                    ChannelSessions("Referral", 1_100, 900, 1_000, 4_300),
                    ChannelSessions("AI Assistant", 200, 100, 190, 700),
                ),
                sentence="Organic Search brings the most sessions: 22,000 of 61,200 (35.9%).",
                assumptions=(),
            ),
        ),
    )


@pytest.fixture
def empty_data() -> ReportData:
    """Return what a project has before its first sync."""
    return ReportData(
        project_name="Nothing yet",
        timezone="UTC",
        currency="USD",
        generated_at=datetime(2026, 11, 19, 12, 0, tzinfo=UTC),
        version="0.1.0",
        summary=StagedSummary(None, None, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        answers=answers(
            funnel("purchase_journey", {"view_item": 0, "purchase": 0}),
            AttributionResult("purchase", 0, 0.0, (), (), ()),
            CoverageResult(None, None, (), (), ("view_item", "purchase")),
            ChannelsResult((), "No session is staged in these days.", ()),
        ),
    )


@pytest.fixture(scope="module")
def browser():
    # Not for the whole run: Playwright keeps an event loop going, in which no other test could start one.
    executable = shutil.which("chromium")
    if executable is None:
        reason = "no chromium on the PATH to look at the report with"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    quiet = ["disable-gpu", "disable-background-networking", "disable-component-update", "disable-sync", "no-first-run"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", *(f"--{flag}" for flag in quiet)]
        )
        yield browser
        browser.close()
