"""The score of momentum: used only where it beats recency and frequency on the latest week; told anyway."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from insight.momentum_rows import DAYS, asked, did
from microconv import wording
from microconv.analyses.insight.momentum_score import BASELINE, BOTH, MOMENTUM
from staged_rows import Row

ACTORS = 1_200


def world(seed: int, *, stage_tells: bool) -> list[Row]:
    """Actors who come on one day and maybe buy within the week after; either what they did tells who, or only when."""
    random = np.random.default_rng(seed)
    rows = []
    for actor in range(1, ACTORS + 1):
        day = int(random.integers(1, DAYS - 7))
        goes_far = random.random() < 0.3
        rows.append(did(day, actor, "view_item"))
        if goes_far:
            rows.append(did(day, actor, "add_to_cart", 5))
        chance = (0.5 if goes_far else 0.05) if stage_tells else 0.18
        if random.random() < chance:
            rows.append(did(day + 1 + int(random.integers(0, 7)), actor, "purchase"))
    return rows


def test_score_is_used_where_the_stage_tells_who_buys(tmp_path: Path):
    result = asked(tmp_path, "momentum_score", world(1, stage_tells=True))

    assert result.is_used
    baseline, momentum, both = result.models
    assert [each.model for each in result.models] == [BASELINE, MOMENTUM, BOTH]
    assert momentum.auc > baseline.auc
    assert momentum.difference == pytest.approx(momentum.auc - baseline.auc)
    assert momentum.difference_low > 0
    assert (baseline.difference, both.says) == (None, "")
    assert result.sentence.startswith("Momentum's score beats recency and frequency (AUC 0.")
    assert sum(each.actors for each in result.tenths) == result.actors
    assert sum(each.conversions for each in result.tenths) == result.conversions
    assert result.tenths[0].rate > 2 * result.conversions / result.actors
    assert [each.tenth for each in result.tenths] == sorted({each.tenth for each in result.tenths})


def test_groups_of_unequal_size_are_not_called_tenths_without_saying_what_they_are(tmp_path: Path):
    result = asked(tmp_path, "momentum_score", world(1, stage_tells=True))
    sizes = [each.actors for each in result.tenths]

    assert len(set(sizes)) > 1
    (said,) = [each for each in result.sheets() if isinstance(each, str)]
    assert f"these {len(sizes)} groups have from {min(sizes)} to {max(sizes)} actors" in said
    assert f"of actors with the highest score, {wording.fine_share(result.tenths[0].rate)} converted" in result.sentence
    assert wording.share(sizes[0] / sum(sizes)) in result.sentence


def test_score_is_not_used_where_only_the_days_tell(tmp_path: Path):
    result = asked(tmp_path, "momentum_score", world(2, stage_tells=False))

    assert not result.is_used
    assert result.tenths == ()
    assert result.models[1].auc is not None
    assert result.sentence.startswith("Momentum's score does not beat recency and frequency (AUC 0.")
    assert result.sentence.endswith("it is not used.")


def test_few_conversions_compare_nothing(tmp_path: Path):
    rows = [did(1 + actor % 20, actor, "view_item") for actor in range(1, 200)]
    rows += [did(25, actor, "purchase") for actor in range(1, 20)]

    result = asked(tmp_path, "momentum_score", rows)

    assert (result.conversions, result.is_used, result.tenths) == (19, False, ())
    assert {(each.auc, each.says) for each in result.models} == {(None, "not enough data: n = 0 conversions")}
    assert result.sentence.startswith("It is too early to say whether momentum foretells who converts")


def test_week_tested_on_is_the_latest_and_is_not_learned_from(tmp_path: Path):
    result = asked(tmp_path, "momentum_score", world(1, stage_tells=True), weeks=2)

    assert result.day.isoformat() == "2024-03-21"
    assert result.learned_weeks == 1


def test_nothing_staged_scores_nobody(tmp_path: Path):
    result = asked(tmp_path, "momentum_score", [])

    assert (result.actors, result.is_used) == (0, False)
    assert "not enough data: n = 0 conversions" in result.sentence


@pytest.mark.long
def test_score_is_rarely_used_where_there_is_nothing_to_score(tmp_path: Path):
    used = sum(
        asked(tmp_path / str(seed), "momentum_score", world(seed, stage_tells=False)).is_used for seed in range(20)
    )

    assert used <= 3
