"""Bytes and money, as people read them."""

from __future__ import annotations

import pytest

from microconv.wording import dollars_for_bytes, human_bytes, price_of_bytes


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (10 * 2**20, "10.0 MiB"),
        (2**30 - 1, "1.0 GiB"),
        (3 * 2**39, "1.5 TiB"),
        (2**50, "1.0 PiB"),
        (2**60, "1,024.0 PiB"),
    ],
)
def test_bytes_come_in_the_unit_that_keeps_them_short(count, said):
    assert human_bytes(count) == said


@pytest.mark.parametrize(
    ("count", "price", "said"),
    [
        (2**40, 6.25, "$6.25"),
        (2**40 * 400, 6.25, "$2,500.00"),
        (0, 6.25, "$0.00"),
        (2**20, 6.25, "under $0.01"),
        (2**40, 0, "$0.00"),
    ],
)
def test_money_is_bytes_times_the_price_of_a_tebibyte(count, price, said):
    assert dollars_for_bytes(count, price) == said


def test_amount_is_not_rounded():
    assert price_of_bytes(2**30, 6.25) == 6.25 / 1024
