"""Coverage: outages are found unprompted, and quiet days raise no alarm."""

from __future__ import annotations

import pytest

from asking import answer
from microconv.audit.coverage import Coverage, CoverageResult, Outage
from microconv.taxonomy import Taxonomy
from staged_rows import DAY, IN_MEMORY, Row, day, entry, occurrence, shard, staged

TAXONOMY = Taxonomy("shop", "1.0", (entry("view_item"), entry("add_to_cart")))


def covered(
    carts: list[int], *, events: list[int] | None = None, taxonomy: Taxonomy = TAXONOMY, **kinds: str
) -> CoverageResult:
    """Coverage of so many carts a day, among 1,000 events a day unless given; `day_3="intraday"` sets a kind."""
    traffic = events or [1_000] * len(carts)
    shards = [
        shard(number, events=events_of_day, kind=kinds.get(f"day_{number}", "daily"))
        for number, events_of_day in enumerate(traffic, start=1)
    ]
    rows: list[Row] = [
        occurrence((number - 1) * DAY, "add_to_cart", place=place)
        for number, carts_of_day in enumerate(carts, start=1)
        for place in range(carts_of_day)
    ]
    with staged(IN_MEMORY, mc_shards=shards, mc_micro_conversions=rows) as engine:
        return answer(engine, Coverage(), taxonomy)


def status_of(result: CoverageResult, micro_conversion: str = "add_to_cart") -> list[str]:
    return [row.status for row in result.days if row.micro_conversion == micro_conversion]


def test_outage_of_two_days_is_one_finding():
    result = covered([12, 11, 0, 0, 12, 13])
    assert status_of(result) == ["ok", "ok", "missing", "missing", "ok", "ok"]
    (outage,) = result.outages
    assert outage == Outage("add_to_cart", day(3), day(4), 2, 0, pytest.approx(24.0), "missing")


def test_outage_with_a_few_occurrences_left_is_low():
    result = covered([24, 24, 5, 0, 24, 24])
    assert status_of(result) == ["ok", "ok", "low", "missing", "ok", "ok"]
    (outage,) = result.outages
    assert (outage.status, outage.days, outage.occurrences) == ("low", 2, 5)


@pytest.mark.parametrize(
    ("expected", "seen", "status"),
    [(10, 0, "missing"), (9, 0, "ok"), (20, 4, "low"), (20, 5, "ok"), (16, 1, "ok"), (16, 0, "missing")],
)
def test_thresholds(expected, seen, status):
    assert status_of(covered([expected, expected, seen, expected]))[2] == status


def test_fewer_events_let_one_expect_less():
    assert covered([30, 30, 3, 30], events=[1_000, 1_000, 100, 1_000]).outages == ()


def test_provisional_day_can_be_missing_but_not_low():
    assert status_of(covered([24, 24, 5], day_3="intraday")) == ["ok", "ok", "ok"]
    assert status_of(covered([24, 24, 0], day_3="intraday")) == ["ok", "ok", "missing"]
    assert status_of(covered([24, 24, 5], day_3="daily")) == ["ok", "ok", "low"]


def test_never_seen_is_named_and_no_outage():
    result = covered([12, 12, 12])
    assert result.never_seen == ("view_item",)
    assert result.outages == ()


def test_deprecated_entries_are_left_out():
    taxonomy = Taxonomy("shop", "1.1", (entry("add_to_cart"), entry("old_cart", deprecated_in="1.1")))
    result = covered([12, 12, 12], taxonomy=taxonomy)
    assert {row.micro_conversion for row in result.days} == {"add_to_cart"}
    assert result.never_seen == ()


def test_every_staged_day_is_there_for_every_entry():
    result = covered([1, 0])
    assert [(row.micro_conversion, row.event_date, row.occurrences) for row in result.days] == [
        ("view_item", day(1), 0),
        ("view_item", day(2), 0),
        ("add_to_cart", day(1), 1),
        ("add_to_cart", day(2), 0),
    ]
    assert (result.first_date, result.last_date) == (day(1), day(2))


def test_day_without_a_shard_neither_ends_nor_lengthens_an_outage():
    shards = [shard(number, events=1_000) for number in (1, 2, 3, 5, 6, 7, 8)]
    rows = [
        occurrence((number - 1) * DAY, "add_to_cart", place=place) for number in (1, 2, 6, 7, 8) for place in range(12)
    ]
    with staged(IN_MEMORY, mc_shards=shards, mc_micro_conversions=rows) as engine:
        (outage,) = answer(engine, Coverage(), TAXONOMY).outages
    assert (outage.first_date, outage.last_date, outage.days) == (day(3), day(5), 2)


def test_nothing_staged_finds_nothing():
    found = covered([])
    assert (found.first_date, found.last_date, found.days, found.outages, found.never_seen) == (None, None, (), (), ())
    assert found.sentence == "No day of this period is staged."


def test_days_asked_for_are_held_against_all_staged_days():
    shards = [shard(number, events=1_000) for number in range(1, 7)]
    rows = [occurrence((number - 1) * DAY, "add_to_cart", place=place) for number in (1, 2, 5) for place in range(12)]
    with staged(IN_MEMORY, mc_shards=shards, mc_micro_conversions=rows) as engine:
        whole = answer(engine, Coverage(), TAXONOMY)
        found = answer(engine, Coverage(since=day(2), until=day(4)), TAXONOMY)
    assert (found.first_date, found.last_date) == (day(2), day(4))
    assert found.days == tuple(row for row in whole.days if day(2) <= row.event_date <= day(4))
    assert [(outage.first_date, outage.last_date) for outage in found.outages] == [(day(3), day(4))]


def test_repeats_of_a_transaction_count_each_time_and_that_is_said_of_entries_that_have_them():
    rows = [occurrence(place * 1_000, "purchase", place=place, transaction_id="T1") for place in range(2)]
    bought, refund = entry("purchase", value="event"), entry("refund", identifiers=("transaction_id",))
    with staged(IN_MEMORY, mc_shards=[shard(1, events=10)], mc_micro_conversions=rows) as engine:
        result = answer(engine, Coverage(), Taxonomy("shop", "1.0", (bought, refund)))

    assert [each.occurrences for each in result.days] == [2, 0]
    assert "one more with the same transaction id (purchase) counts again here" in result.assumptions[-1]
    assert not any("transaction" in each for each in covered([12, 12]).assumptions)
