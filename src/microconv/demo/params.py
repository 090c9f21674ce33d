"""`event_params`, put together from one flat column per parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from microconv.demo import eras
from microconv.demo.journeys import Bools, Integers

if TYPE_CHECKING:
    from numpy.typing import NDArray


class ParamColumns:
    """Takes parameters column by column and returns them as one list per row, in the order they were added."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._keys: list[str] = []
        self._masks: list[Bools] = []
        # One of the three per parameter: text as place in the words collected so far, whole numbers, other numbers.
        self._texts: list[Integers | None] = []
        self._integers: list[Integers | None] = []
        self._doubles: list[NDArray[np.float64] | None] = []
        self._words: list[pa.Array] = []
        self._word_count = 0

    def text(self, key: str, rows: Bools, words: pa.Array, codes: Integers | None) -> None:
        """Add a text to `rows`: for each of them `words[code]`, or its own entry of `words` where `codes` is None."""
        places = np.arange(len(words)) if codes is None else codes.astype(np.int64)
        self._add(key, rows, text=places + self._word_count)
        self._words.append(words)
        self._word_count += len(words)

    def integer(self, key: str, rows: Bools, values: NDArray[np.generic]) -> None:
        """Add a whole number to `rows`; `values` has an entry for every row of the table."""
        self._add(key, rows, integer=values[rows].astype(np.int64))

    def double(self, key: str, rows: Bools, values: NDArray[np.float64]) -> None:
        """Add a number to `rows`; `values` has an entry for every row of the table."""
        self._add(key, rows, double=values[rows])

    def _add(
        self,
        key: str,
        rows: Bools,
        *,
        text: Integers | None = None,
        integer: Integers | None = None,
        double: NDArray[np.float64] | None = None,
    ) -> None:
        self._keys.append(key)
        self._masks.append(rows)
        self._texts.append(text)
        self._integers.append(integer)
        self._doubles.append(double)

    def build(self) -> pa.ListArray:
        """Return the lists."""
        count = np.zeros(self._rows, np.int32)
        for mask in self._masks:
            count += mask
        offsets = np.concatenate([[0], np.cumsum(count)]).astype(np.int32)
        total = int(offsets[-1])
        keys = np.empty(total, np.int8)
        texts, integers, doubles = np.full(total, -1, np.int64), np.zeros(total, np.int64), np.zeros(total)
        has_integer, has_double = np.zeros(total, bool), np.zeros(total, bool)
        free = offsets[:-1].copy()
        for code, mask in enumerate(self._masks):
            place = free[mask]
            keys[place] = code
            if (text := self._texts[code]) is not None:
                texts[place] = text
            if (integer := self._integers[code]) is not None:
                integers[place] = integer
                has_integer[place] = True
            if (double := self._doubles[code]) is not None:
                doubles[place] = double
                has_double[place] = True
            free[mask] += 1

        value = pa.StructArray.from_arrays(
            [
                pa.concat_arrays(self._words).take(pa.array(texts, mask=texts < 0)),
                pa.array(integers, mask=~has_integer),
                pa.nulls(total, pa.float64()),
                pa.array(doubles, mask=~has_double),
            ],
            fields=list(eras.PARAM.field("value").type),
        )
        entries = pa.StructArray.from_arrays(
            [pa.array(self._keys).take(pa.array(keys)), value], fields=list(eras.PARAM)
        )
        return pa.ListArray.from_arrays(pa.array(offsets), entries)
