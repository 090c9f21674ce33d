"""The cause of each gap between GA4 and the export is named rightly, over random properties with planted gaps."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from analytics_server import AnalyticsServer, GoogleProperty
from microconv.audit.reconciliation import ga4_reports
from microconv.audit.reconciliation.gap_causes import Gap, explain
from microconv.clients.analytics_access import Access
from microconv.clients.analytics_data import AnalyticsData
from planted_gaps import PLANTS, Planted, planted

SEEDS = range(25)
CLEAN = 40


@pytest.fixture(scope="module")
def server() -> Iterator[AnalyticsServer]:
    with AnalyticsServer(GoogleProperty()) as started:
        yield started


def gaps_of(made: Planted, server: AnalyticsServer) -> tuple[Gap, ...]:
    server.model = made.google_property()
    transport = "rest" if made.seed % 2 else "grpc"
    analytics = AnalyticsData(Access("123456", endpoint=server.url(transport), transport=transport))
    export = made.export_side()
    ga4 = ga4_reports.ask(analytics.report, export.first_date, export.last_date)
    analytics.close()
    assert ga4.failure is None
    return explain(export, ga4)


def test_at_least_95_percent_of_planted_gaps_are_named_rightly(
    server: AnalyticsServer, capsys: pytest.CaptureFixture[str]
):
    told: dict[str, Counter[str]] = {}
    wrong = []
    for number, cause in enumerate(PLANTS):
        told[cause] = Counter()
        for seed in SEEDS:
            made = planted(1000 * number + seed, cause)
            found = " + ".join(gap.cause for gap in gaps_of(made, server)) or "nothing"
            told[cause][found] += 1
            if found != cause:
                wrong.append(f"{cause} (seed {1000 * number + seed}): {found}")
    known = {cause: counted for cause, counted in told.items() if cause != "unexplained"}
    right = sum(counted[cause] for cause, counted in known.items())
    of_all = sum(counted.total() for counted in known.values())
    table = [f"planted gaps named rightly: {right} of {of_all} ({right / of_all:.1%})"]
    for cause, counted in told.items():
        table.append(f"  {cause:<13} {', '.join(f'{name} {count}' for name, count in counted.most_common())}")
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(table) + "\n")
    assert of_all >= 200
    assert right >= 0.95 * of_all, "\n".join(wrong)
    assert min(counted[cause] / counted.total() for cause, counted in told.items()) >= 0.85, "\n".join(wrong)


def test_properties_without_gaps_have_none(server: AnalyticsServer):
    found = {seed: gaps for seed in range(50_000, 50_000 + CLEAN) if (gaps := gaps_of(planted(seed), server))}
    assert len(found) <= 1, found


PAIRS = [
    ("late", "thresholding"),
    ("late", "currency"),
    ("late", "duplicates"),
    ("consent", "late"),
    ("consent", "currency"),
    ("consent", "duplicates"),
    ("cap", "thresholding"),
    ("filter", "currency"),
    ("filter", "thresholding"),
    ("other_row", "late"),
    ("other_row", "duplicates"),
    ("time_zone", "currency"),
]


def test_two_causes_at_once_are_told_apart(server: AnalyticsServer, capsys: pytest.CaptureFixture[str]):
    told: dict[tuple[str, str], Counter[str]] = {}
    for number, pair in enumerate(PAIRS):
        told[pair] = Counter()
        for seed in range(8):
            found = {gap.cause for gap in gaps_of(planted(20_000 + 100 * number + seed, *pair), server)}
            told[pair][" + ".join(sorted(found)) or "nothing"] += 1
    right = sum(counted[" + ".join(sorted(pair))] for pair, counted in told.items())
    of_all = sum(counted.total() for counted in told.values())
    table = [f"pairs of causes told apart: {right} of {of_all} ({right / of_all:.1%})"]
    for pair, counted in told.items():
        table.append(f"  {' and '.join(pair):<26} {', '.join(f'{name} {n}' for name, n in counted.most_common())}")
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(table) + "\n")
    assert right >= 0.8 * of_all, "\n".join(table)
