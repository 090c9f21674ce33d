"""Mistakes in derived entries, versions and signals: each is named with its place and a next step."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import ga4
from microconv.cli import cli
from projects import write_config
from taxonomy_files import GOAL, entry, write_file

DAY = date(2024, 3, 1)
LEAD = '[[micro_conversions]]\nid = "x"\nkind = "secondary"\nstage = "decision"\n'
OTHER = '[[micro_conversions]]\nid = "y"\nkind = "secondary"\nstage = "decision"\n'
GONE = entry("z", 'removed_in = "1.0"')
FIRST = len(GOAL.splitlines()) + 2
"""The line on which the entry under test begins, after the version and the goal."""


def invoke(*words: str) -> Result:
    return CliRunner().invoke(cli, words)


def said(result: Result) -> str:
    return " ".join(result.output.split())


MISTAKES = [
    # What it names is not there.
    ('derived = { of = "gaol", times = 2, within = "1d" }', 4, 'derived.of: there is no "gaol" (did you mean "goal"?)'),
    (
        'hesitation = { start = "goal", without = "gaol", within = "1d" }',
        4,
        'hesitation.without: there is no "gaol" (did you mean "goal"?)',
    ),
    (
        f'derived = {{ of = "z", times = 2, within = "1d" }}\n{GONE}',
        4,
        'derived.of: there is no "z" any more: it was removed in 1.0',
    ),
    # Circles.
    (
        'derived = { of = "x", times = 2, within = "1d" }',
        4,
        'key derived: goes round in a circle: "x" needs "x"; take one of them out',
    ),
    (
        (
            f'derived = {{ of = "y", times = 2, within = "1d" }}\n{OTHER}'
            'hesitation = { start = "x", without = "goal", within = "1d" }'
        ),
        4,
        'key derived: goes round in a circle: "x" needs "y" needs "x"',
    ),
    # Longer than the look-back.
    (
        'derived = { of = "goal", times = 2, within = "91d" }',
        4,
        "key derived: looks back 91d; taxonomy.lookback allows 90d: shorten its time, or raise lookback",
    ),
    (
        (
            f'derived = {{ of = "y", times = 2, within = "60d" }}\n{OTHER}'
            'hesitation = { stalled_after = "goal", for = "40d" }'
        ),
        4,
        "looks back 100d through x → y; taxonomy.lookback allows 90d",
    ),
    # The rule itself.
    (
        'derived = { of = "goal", times = 2, witin = "1d" }',
        4,
        'derived.witin: is not a known key (did you mean "within"?)',
    ),
    ('derived = { of = "goal", times = 2 }', 4, "derived: lacks within: times needs of, times, within"),
    ('derived = { of = "goal", within = "1d" }', 4, "derived: must have exactly one of times, sessions, days"),
    ('derived = { of = "goal", times = 2, days = 2, within = "1d" }', 4, "it has times, days"),
    (
        'derived = { of = "goal", times = 2, within = "1d", without = "y" }',
        4,
        "derived.without: does not go with times, which takes of, times, within, same",
    ),
    ('derived = { of = "goal", times = 2, within = "soon" }', 4, "derived.within: is not a length of time such as"),
    (
        'derived = { of = "goal", times = "2", within = "1d" }',
        4,
        "derived.times: must be a whole number, without quotes",
    ),
    ('derived = { of = "goal", days = 0, within = "1d" }', 4, "derived.days: must be 1 or more"),
    ('derived = { of = "goal", days = 2000000, within = "1d" }', 4, "derived.days: must be 1,000,000 or less"),
    ('derived = { of = "goal", total = "value", reaches = 0.0, within = "1d" }', 4, "reaches: must be more than 0"),
    (
        'derived = { of = "goal", total = "item_id", reaches = 2, within = "1d" }',
        4,
        "item_id is text, one for each item",
    ),
    (
        'hesitation = { start = "goal", without = "goal", within = "1d" }',
        4,
        'hesitation.without: "goal" is the end of what it begins: name another entry than in start',
    ),
    ('event = "e"\nderived = { of = "goal", times = 2, within = "1d" }', 5, "cannot be given beside event"),
    ('event = "e"\nhesitaton = true', 5, 'hesitaton: is not a known key (did you mean "hesitation"?)'),
    ('derived = { of = "goal", times = 2, within = "1d" }\ncounts = false', 5, "key counts: goes with event only"),
    # Patterns that the engines do not both understand.
    ("event = { matches = '^a(?=b)' }", 4, "event.matches: '^a(?=b)' uses '(?=b'; RE2 has no look-around"),
    ("event = \"e\"\npage = { matches = '(a)\\1' }", 5, "RE2 has no backreferences"),
    # Replacements.
    (
        'event = "e"\ndeprecated_in = "1.0"\nreplaced_by = "x"',
        6,
        "replaced_by: an entry cannot replace itself: name another one",
    ),
    (
        (
            f'event = "e"\ndeprecated_in = "1.0"\nreplaced_by = "y"\n{OTHER}'
            'event = "e"\ndeprecated_in = "1.0"\nreplaced_by = "x"'
        ),
        6,
        'replaced_by: "y" is deprecated itself: name an entry that is in use',
    ),
    # Versions that go back within the file.
    ('event = "e"\nsince = "1.0"\ndeprecated_in = "0.9"', 0, "is deprecated in 0.9, before it came in 1.0"),
    ('event = "e"\nsince = "1.1"', 5, "since: 1.1 is later than 1.0, the version of the file: raise the latter"),
    # One parameter of two types.
    (
        (
            f'event = "e"\nparameters = [{{ name = "p", type = "number" }}]\n{OTHER}'
            'event = "f"\nparameters = [{ name = "p" }]'
        ),
        11,
        'p must be text here and number in "x": a parameter has one type',
    ),
]


@pytest.mark.parametrize(("lines", "line", "message"), MISTAKES)
def test_mistake_is_named_with_file_line_and_what_to_do(tmp_path: Path, lines: str, line: int, message: str) -> None:
    path = write_file(tmp_path, f"{GOAL}{LEAD}{lines}\n")
    result = invoke("taxonomy", "validate", str(path), "--preset", "none")
    assert result.exit_code == 2
    assert f"{path}: line {FIRST + line}: micro-conversion " in result.output
    assert message in said(result)
    assert "Correct the file and run this again" in said(result)
    assert "Traceback" not in result.output


VISITS = (
    GOAL
    + entry("glance", "counts = false", event="view_item")
    + LEAD
    + 'derived = { of = "glance", times = 2, within = "1d" }\n'
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ga4.write_parquet(tmp_path / "exports" / f"{ga4.shard_name(DAY)}.parquet", ga4.simple_day(DAY))
    write(tmp_path, "2.0")
    return tmp_path


def write(folder: Path, version: str, text: str = VISITS, extra: str = "") -> None:
    (folder / "taxonomy.toml").write_text(f'name = "Shop"\nversion = "{version}"\n{text}', encoding="utf-8")
    write_config(folder, extra=f'[taxonomy]\npreset = "none"\nfile = "taxonomy.toml"\n{extra}')


def run(folder: Path, *words: str) -> Result:
    return invoke("-c", str(folder / "microconv.toml"), *words)


SIGNAL_NAMED = [
    ('[[funnels]]\nname = "f"\nsteps = ["glance", "goal"]\n', 'funnel "f"'),
    ('[[segments]]\nname = "s"\nrule = { did = "glance", within = "7d" }\n', 'segment "s"'),
    ('[attribution]\ngoal = "glance"\n', "attribution.goal"),
]


@pytest.mark.parametrize(("section", "named_by"), SIGNAL_NAMED)
def test_signal_that_is_asked_for_is_refused_with_what_is_derived_from_it(
    folder: Path, section: str, named_by: str
) -> None:
    write(folder, "2.0", extra=section)
    result = run(folder, "sync")
    assert result.exit_code == 2
    assert named_by in said(result)
    assert '"glance": it is a signal (counts = false), of which other entries are derived' in said(result)
    assert "Name what is derived from it (x), or take out `counts = false`." in said(result)


@pytest.mark.parametrize("asked", [("sync",), ("sync", "--plan"), ("sync", "--dry-run")])
def test_version_that_goes_back_is_refused_with_file_and_line(folder: Path, asked: tuple[str, ...]) -> None:
    assert run(folder, "sync").exit_code == 0
    write(folder, "1.9")
    result = run(folder, *asked)
    assert result.exit_code == 2
    assert "taxonomy.toml cannot be used: line 2: key version: goes back to 1.9, and days are staged by 2.0" in said(
        result
    )
    assert "Raise `version` beyond 2.0" in said(result)


def test_version_may_stay_be_raised_or_begin_anew(folder: Path) -> None:
    assert run(folder, "sync").exit_code == 0
    for version in ("2.0", "2.0.0", "10.0"):
        write(folder, version, VISITS + entry(f"e{version.replace('.', '_')}"))
        assert run(folder, "sync").exit_code == 0, version
    write(folder, "1.0")
    assert run(folder, "sync").exit_code == 2
    assert run(folder, "sync", "--full-refresh").exit_code == 0
    assert run(folder, "sync").exit_code == 0


def test_another_taxonomy_has_versions_of_its_own(folder: Path) -> None:
    assert run(folder, "sync").exit_code == 0
    (folder / "taxonomy.toml").write_text(f'name = "Other"\nversion = "1.0"\n{VISITS}', encoding="utf-8")
    assert run(folder, "sync").exit_code == 0


@pytest.mark.parametrize(
    ("version", "text", "warning"),
    [
        ("1.9", VISITS, "The version goes back from 2.0 to 1.9"),
        ("2.0", VISITS + entry("more"), "What counts differs, and the version is 2.0 as before: raise `version`."),
        ("2.0", VISITS, None),
        ("2.1", VISITS + entry("more"), None),
    ],
)
def test_diff_says_what_is_wrong_with_the_version(folder: Path, version: str, text: str, warning: str | None) -> None:
    draft = folder / "draft.toml"
    draft.write_text(f'name = "Shop"\nversion = "{version}"\n{text}', encoding="utf-8")
    shown = run(folder, "taxonomy", "diff", str(folder / "taxonomy.toml"), str(draft))
    assert shown.exit_code == 0
    assert warning is None or warning in said(shown)
    found = json.loads(
        run(folder, "taxonomy", "diff", str(folder / "taxonomy.toml"), str(draft), "--format", "json").stdout
    )["warning"]
    assert found is None if warning is None else found.startswith(warning)


def test_diff_takes_the_lookback_of_the_configuration(folder: Path) -> None:
    long = GOAL + LEAD + 'derived = { of = "goal", times = 2, within = "120d" }\n'
    write(folder, "2.1", long)
    write_config(folder, extra='[taxonomy]\npreset = "none"\nfile = "taxonomy.toml"\nlookback = "120d"\n')
    draft = folder / "draft.toml"
    draft.write_text(f'name = "Shop"\nversion = "2.2"\n{long}', encoding="utf-8")
    for words in ((str(draft),), (str(draft), str(draft))):
        assert run(folder, "taxonomy", "diff", *words).exit_code == 0
