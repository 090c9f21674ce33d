"""What is written as TOML reads as what was meant, whatever stands in it."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from microconv.config.toml import comment, literal

TEXTS = st.text() | st.sampled_from(["\x7f", '"', "\\", "\n# ", "\r\n", "\u2028", "é尺", "'''", '"""'])
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
VALUES: st.SearchStrategy[Any] = st.recursive(
    TEXTS | NUMBERS | st.booleans(),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(TEXTS, values, max_size=4),
    max_leaves=8,
)


@given(value=VALUES)
def test_a_value_reads_as_what_was_written(value: Any):
    assert tomllib.loads(f"key = {literal(value)}") == {"key": value}


def test_true_is_no_number():
    assert [literal(True), literal(1), literal(False)] == ["true", "1", "false"]


def test_what_is_not_set_is_left_out_of_a_table():
    assert literal({"did": "a", "within": None}) == '{ did = "a" }'


@given(text=TEXTS)
def test_a_comment_stays_on_its_line(text: str):
    written = comment(text)
    assert written.isascii()
    assert written.isprintable()
    assert tomllib.loads(f"{written}\nkey = 1") == {"key": 1}
