"""P-values adjusted for how many there are: only for what a p-value can be."""

from __future__ import annotations

import math

import pytest

from microconv.stats.multiplicity import Correction, adjusted


@pytest.mark.parametrize("correction", ["by", "bh", "holm", "none"])
@pytest.mark.parametrize("wrong", [math.nan, -1.0, 1.01])
def test_what_is_no_p_value_is_refused(wrong: float, correction: Correction):
    with pytest.raises(ValueError, match="between 0 and 1"):
        adjusted([wrong, 0.01, 0.5], correction)


def test_adjusted_by_hand():
    assert adjusted([0.01, 0.04, 0.02], "bh") == pytest.approx([0.03, 0.04, 0.03])
    assert adjusted([0.01, 0.04, 0.02], "holm") == pytest.approx([0.03, 0.04, 0.04])
    assert adjusted([0.0, 1.0], "by") == [0.0, 1.0]
    assert adjusted([], "by") == []
