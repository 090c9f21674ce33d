"""What comes after the sale is told as far as it is known, and what all come to is told as that."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asking import answer
from insight.simulated import DAY, HOUR, MINUTE, Done, Visits, staged, taxonomy
from microconv.analyses.insight.post_sale import PostSale, PostSaleResult

TAXONOMY = taxonomy(
    buy={"kind": "macro", "stage": "decision"},
    review={"kind": "secondary", "stage": "post_sale"},
)


def asked(folder: Path, buyers: int, reviews_after: np.ndarray) -> PostSaleResult:
    """Buyers of the first hour of ten days, of whom as many write a review as there are times."""
    actor = np.arange(buyers)
    reviewing = actor[: len(reviews_after)]
    done = {
        "buy": Done(actor, actor * MINUTE + MINUTE),
        "review": Done(reviewing, reviewing * MINUTE + MINUTE + reviews_after),
    }
    # Somebody who buys nothing comes at the end of the data.
    visits = Visits(np.append(actor, buyers), np.append(actor * MINUTE, 10 * DAY - HOUR))
    with staged(folder / "x.duckdb", TAXONOMY, visits, done, days=10) as engine:
        found: PostSaleResult = answer(engine, PostSale(), TAXONOMY)
    return found


def test_where_all_came_the_share_is_one_and_half_of_all_have_a_time(tmp_path: Path):
    (row,) = asked(tmp_path, 25, np.arange(1, 26) * MINUTE).steps

    assert (row.reached, row.share, row.says) == (25, 1.0, "")
    assert row.median_seconds == 13 * 60
    assert row.low is not None
    assert row.low < 1.0  # nobody of 25 is left, and of more some might be


def test_the_rest_is_told_as_far_as_few_are_enough_for_it(tmp_path: Path):
    (row,) = asked(tmp_path, 100, np.arange(1, 91) * MINUTE).steps

    assert row.share == pytest.approx(0.9)
    assert row.within_seconds is not None
    assert row.within_seconds > 9 * DAY / 1_000_000


def test_nobody_came_is_said(tmp_path: Path):
    (row,) = asked(tmp_path, 40, np.array([], dtype=np.int64)).steps

    assert (row.share, row.says) == (0.0, "nobody came to it")
    assert row.within_seconds is not None
    assert row.within_seconds > 9 * DAY / 1_000_000
