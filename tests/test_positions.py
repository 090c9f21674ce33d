"""On which line a key is set: compared with what follows from reading ever longer beginnings of the file."""

from __future__ import annotations

import time
import tomllib

from hypothesis import given, settings
from hypothesis import strategies as st

from config_files import MINIMAL, problem
from microconv.config.positions import MISSING, KeyPath, Positions, at
from microconv.taxonomy import find_problems


def by_beginnings(text: str, path: KeyPath) -> int | None:
    """The line after the longest valid beginning that does not set the path; slow, and needs no second parser."""
    lines = text.split("\n")
    known = 0  # lines of the longest valid beginning so far
    for end in range(len(lines) + 1):
        try:
            document = tomllib.loads("\n".join(lines[:end]))
        except tomllib.TOMLDecodeError:
            continue
        if at(document, path) is not MISSING:
            return known + 1
        known = end
    return None


def paths(document: object, path: KeyPath = ()) -> list[KeyPath]:
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [each for key, value in items for each in ((*path, key), *paths(value, (*path, key)))]


NAMES = st.sampled_from(["a", "b", "c-1", '"d.e"', "'f]'", '"\\u00e9"', '"#"', "1"])
KEYS = st.lists(NAMES, min_size=1, max_size=3).map(" . ".join)
VALUES = st.recursive(
    st.sampled_from(
        [
            *(
                "1",
                "1.5",
                "true",
                "1979-05-27T07:32:00Z",
                '"x"',
                "'x'",
                '""',
                '"]"',
                "'[#'",
                '"\\"]\\\\"',
                '"a = 1 # b"',
            ),
            *(
                '"""\n[a]\nb = 1\n"""',
                "'''\n[[c]]\n'''",
                '"""x"""""',
                "'''x'''''",
                '"""\\"""\\\n  y"""',
                '""""quoted""""',
            ),
        ]
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda values: "[\n  " + ",  # ] [\n  ".join(values) + "\n]"),
        st.lists(inner, max_size=3).map(lambda values: f"[{', '.join(values)}]"),
        st.lists(st.tuples(NAMES, inner), max_size=2, unique_by=lambda pair: pair[0]).map(
            lambda pairs: "{ " + ", ".join(f"{key} = {value}" for key, value in pairs) + " }"
        ),
    ),
    max_leaves=5,
)
STATEMENTS = st.one_of(
    st.tuples(KEYS, VALUES).map(lambda pair: f"  {pair[0]} = {pair[1]}  # a = 'b'"),
    KEYS.map(lambda key: f"[{key}] # [x]"),
    KEYS.map(lambda key: f"[[ {key} ]]"),
    st.sampled_from(["", "# [a]", "\t# b = 1"]),
)


@given(st.lists(STATEMENTS, max_size=8))
@settings(max_examples=300, deadline=None)
def test_lines_are_those_that_longer_and_longer_beginnings_give(statements):
    text = ""
    for statement in statements:  # what makes the file invalid is left out
        try:
            tomllib.loads(longer := f"{text}{statement}\n")
        except tomllib.TOMLDecodeError:
            continue
        text = longer
    document = tomllib.loads(text)
    positions = Positions(text)

    found = {path: positions.line_of(path) for path in paths(document)}

    assert found == {path: by_beginnings(text, path) for path in found}
    assert positions.line_of(("nowhere",)) is None


def seconds(text: str, folder) -> float:
    """Processor time, the shorter of two: others on this machine do not count."""
    taken = []
    for _ in range(2):
        started = time.process_time()
        problem(folder, text)
        taken.append(time.process_time() - started)
    return min(taken)


def test_a_flood_of_problems_takes_no_more_than_its_share_of_time(tmp_path):
    wrong = '[[funnels]]\nname = "f{}"\nsteps = ["a"]\nwindw = "7d"\n'
    unknown = "key_{} = 1\n"
    for line in (wrong, unknown):
        few, many = (MINIMAL + "".join(line.format(number) for number in range(count)) for count in (500, 5_000))
        assert seconds(many, tmp_path) < 30 * max(seconds(few, tmp_path), 0.02)


def test_a_flood_of_problems_in_a_taxonomy_takes_no_more_than_its_share_of_time(tmp_path):
    path = tmp_path / "taxonomy.toml"
    entry = '[[micro_conversions]]\nid = "e{}"\nkind = "milestone"\nstage = "nowhere"\nevent = "x"\n'

    def taken(count: int) -> float:
        path.write_text('version = "1.0"\n' + "".join(entry.format(number) for number in range(count)))
        started = time.process_time()
        assert len(find_problems(preset=None, file=path)) == count
        return time.process_time() - started

    taken(10)
    assert taken(4_000) < 30 * max(taken(400), 0.02)
