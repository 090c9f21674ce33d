"""Paths as arrays: read from a query result, and transformed without a loop, as plain Python would."""

from __future__ import annotations

from itertools import groupby, pairwise

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microconv.analyses.attribution.touch_paths import TouchPaths
from touch_paths import Came, came_over, paths_of, table_of

TRANSFORMS = {
    "unique": list,
    "exposure": lambda steps: [step for step, _ in groupby(steps)],
    "first": lambda steps: list(dict.fromkeys(steps)),
}


def steps_by_path(paths: TouchPaths) -> list[list[int]]:
    return [paths.steps[begin:end].tolist() for begin, end in pairwise(paths.offsets)]


@given(rows=st.lists(came_over(12), max_size=8))
def test_steps_and_counts_are_read_as_they_were_written(rows):
    paths = paths_of("abcdefghijkl", *rows)

    assert steps_by_path(paths) == [list(row.steps) for row in rows]
    assert paths.conversions.tolist() == [row.conversions for row in rows]
    assert paths.values.tolist() == [row.value for row in rows]
    assert paths.others.tolist() == [row.others for row in rows]


@pytest.mark.parametrize("kind", TRANSFORMS)
@given(rows=st.lists(came_over(3), max_size=8))
def test_transforms_keep_the_steps_that_plain_python_keeps(kind, rows):
    paths = paths_of("abc", *rows)

    transformed = paths.transformed(kind)

    assert steps_by_path(transformed) == [TRANSFORMS[kind](row.steps) for row in rows]
    assert transformed.conversions.tolist() == paths.conversions.tolist()


def test_repeats_at_the_border_of_two_paths_are_no_run():
    assert steps_by_path(paths_of("ab", Came((0, 1)), Came((1, 1))).transformed("exposure")) == [[0, 1], [1]]


def test_conversions_without_a_touchpoint_are_kept_apart():
    paths = paths_of("ab", Came((0,), 2, 10), Came((), 3, 7))

    assert (paths.touched_conversions, paths.touched_value) == (2, 10)


def test_chunks_nulls_and_numbers_of_many_digits_are_read():
    table = pa.concat_tables([table_of([Came((10, 2))]), table_of([Came(())]), table_of([Came((11,))])])
    table = table.set_column(0, "path", pa.chunked_array([["10>2"], [None], ["11"]], pa.string()))

    assert steps_by_path(TouchPaths.read(table, [f"c{number}" for number in range(12)])) == [[10, 2], [], [11]]
