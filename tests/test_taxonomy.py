"""The taxonomy: presets, entries, ranks, files over a preset, the fingerprint and the documentation."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from functools import partial
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microconv.errors import TaxonomyError
from microconv.queries.conditions import OPERATORS
from microconv.taxonomy import PRESETS, CarriedParameter, MicroConversion, find_problems, load_taxonomy
from taxonomy_files import GOAL, entry, write_file

PRESET_FOLDER = files("microconv.taxonomy") / "presets"


@pytest.fixture
def write(tmp_path):
    return partial(write_file, tmp_path)


@pytest.fixture
def alone(write):
    """A taxonomy of one goal and the given entries, without a preset."""
    return lambda text="", version="1.0": load_taxonomy(preset=None, file=write(GOAL + text, version=version))


# Presets


def test_every_preset_file_is_offered_and_every_offered_preset_has_a_file():
    assert {path.name for path in PRESET_FOLDER.iterdir()} == {f"{name}.toml" for name in PRESETS}


@pytest.mark.parametrize("preset", PRESETS)
def test_preset_would_pass_as_a_users_file(preset, tmp_path):
    text = (PRESET_FOLDER / f"{preset}.toml").read_text(encoding="utf-8")
    copy = tmp_path / "copy.toml"
    copy.write_text(text, encoding="utf-8")
    loaded = load_taxonomy(preset=preset, file=None)
    assert find_problems(preset=None, file=copy) == ()
    assert load_taxonomy(preset=None, file=copy) == loaded
    assert (loaded.name, loaded.version) == (preset, "1.0")
    assert text.startswith("# ")
    assert text.count('since = "1.0"') == len(loaded.entries)


@pytest.mark.parametrize("preset", PRESETS)
def test_no_preset_counts_every_page_view(preset):
    for each in load_taxonomy(preset=preset, file=None).entries:
        assert each.where or not {"page_view", "session_start", "first_visit", "user_engagement"} & set(each.events)


def test_ecommerce_ids_are_ga4_event_names_in_the_order_of_the_journey():
    catalogue = ["select_promotion", "select_item", "view_item", "add_to_wishlist"]
    checkout = ["add_to_cart", "view_cart", "begin_checkout", "add_shipping_info", "add_payment_info", "purchase"]
    journey = [*catalogue, *checkout, "refund"]
    shop = load_taxonomy(preset="ecommerce", file=None)
    ranks = [shop.rank(each) for each in journey]
    assert ranks == sorted(ranks)
    assert [shop.entry(each).events for each in journey] == [(each,) for each in journey]
    assert shop.entry("search").events == ("search", "view_search_results")
    assert shop.macros == ("purchase",)
    assert shop.entry("purchase").value == "event"


@pytest.mark.parametrize(
    ("preset", "milestones", "macros"),
    [
        ("saas", ["pricing_view", "start_trial", "begin_checkout", "subscribe"], ("sign_up", "subscribe")),
        ("publisher", ["article_read", "paywall_view", "sign_up", "subscribe"], ("subscribe",)),
        (
            "lead_generation",
            ["form_start", "form_submit", "generate_lead", "qualify_lead", "working_lead", "close_convert_lead"],
            ("generate_lead", "close_convert_lead"),
        ),
    ],
)
def test_other_presets_lead_to_their_own_goals(preset, milestones, macros):
    loaded = load_taxonomy(preset=preset, file=None)
    ranks = [loaded.rank(each) for each in milestones]
    assert ranks == sorted(ranks)
    assert loaded.macros == macros


def test_lead_generation_tells_a_call_from_a_mail_by_the_link():
    loaded = load_taxonomy(preset="lead_generation", file=None)
    assert loaded.entry("phone_click").describe() == "click where link_url starts with tel:"
    assert loaded.entry("email_click").describe() == "click where link_url starts with mailto:"
    assert loaded.carried_parameters() == (CarriedParameter("link_url", as_number=False),)


# Reading entries


def test_an_entry_needs_only_id_kind_stage_and_event(alone):
    bare = alone(entry("size_guide")).entry("size_guide")
    assert (bare.name, bare.mindset, bare.value, bare.where) == ("Size guide", "consideration", None, ())
    assert (bare.since, bare.deprecated, bare.counts_as) == ("1.0", None, "size_guide")


@pytest.mark.parametrize(
    ("stage", "mindset"),
    [
        ("awareness", "curiosity"),
        ("consideration", "consideration"),
        ("decision", "commitment"),
        ("post_sale", "loyalty"),
    ],
)
def test_mindset_follows_the_stage_unless_it_is_given(alone, stage, mindset):
    loaded = alone(entry("a", stage=stage) + entry("b", 'mindset = "curiosity"', stage=stage))
    assert (loaded.entry("a").mindset, loaded.entry("b").mindset) == (mindset, "curiosity")


@pytest.mark.parametrize(
    ("written", "operator", "operand"),
    [
        ('equals = "x"', "equals", "x"),
        ('any_of = ["x", "y"]', "any_of", ("x", "y")),
        ('contains = "x"', "contains", "x"),
        ('starts_with = "x"', "starts_with", "x"),
        ("matches = '^x[0-9]+$'", "matches", "^x[0-9]+$"),
        ("at_least = 3", "at_least", 3.0),
        ("at_most = 2.5", "at_most", 2.5),
        ("exists = false", "exists", False),
    ],
)
def test_condition_has_one_operator_and_its_operand(alone, written, operator, operand):
    loaded = alone(entry("x", f'where = [{{ parameter = "p", {written} }}]'))
    (condition,) = loaded.entry("x").where
    assert (condition.operator, condition.operand) == (operator, operand)
    assert condition.is_numeric == (operator in {"at_least", "at_most"})
    shown = loaded.document()["micro_conversions"][0]["where"]
    assert json.loads(json.dumps(shown)) == [
        {"parameter": "p", "operator": operator, "operand": list(operand) if operator == "any_of" else operand}
    ]


def test_page_is_a_condition_after_those_of_where(alone):
    text = entry("x", 'page = { starts_with = "/b" }', 'where = [{ field = "page", contains = "a" }]')
    where = alone(text).entry("x").where
    assert [(each.field, each.operator, each.operand) for each in where] == [
        ("page", "contains", "a"),
        ("page", "starts_with", "/b"),
    ]


def test_entries_cannot_be_changed(alone):
    with pytest.raises(ValueError, match="frozen"):
        alone().entry("goal").kind = "secondary"


def test_unknown_entry_error_names_the_near_ids_and_all_ids():
    shop = load_taxonomy(preset="ecommerce", file=None)
    with pytest.raises(TaxonomyError, match=r'no micro-conversion "add_to_card" \(did you mean add_to_cart') as caught:
        shop.entry("add_to_card")
    assert all(each in caught.value.hint for each in shop.ids)
    with pytest.raises(TaxonomyError, match="zzz"):
        shop.rank("zzz")


# Ranks and parameters


def test_rank_is_by_stage_then_by_place_in_the_file(alone):
    loaded = alone(entry("late", stage="post_sale") + entry("b") + entry("first", stage="awareness") + entry("a"))
    assert loaded.ids == ("goal", "late", "b", "first", "a")
    assert [loaded.rank(each) for each in ("first", "b", "a", "goal", "late")] == [1, 2, 3, 4, 5]
    assert [each["id"] for each in loaded.document()["micro_conversions"]] == ["first", "b", "a", "goal", "late"]


def test_event_rank_is_the_smallest_of_the_entries_that_listen(alone):
    early = entry("early", stage="awareness", event="scroll")
    loaded = alone(entry("before", event="scroll") + early + entry("after", event="scroll"))
    assert loaded.event_ranks() == {"scroll": loaded.rank("early"), "goal": loaded.rank("goal")}


def test_event_of_a_replaced_entry_ranks_with_what_it_counts_as(alone):
    old = entry("old_cart", 'deprecated = "1.1"', 'replaced_by = "cart"', stage="post_sale", event="addToCart")
    loaded = alone(entry("cart") + old, version="1.1")
    assert loaded.event_ranks()["addToCart"] == loaded.rank("cart") < loaded.rank("old_cart")


def test_parameters_are_carried_once_per_form_and_the_page_is_none(alone):
    loaded = alone(
        entry("a", 'where = [{ parameter = "z", equals = "1" }, { parameter = "b", at_least = 1 }]')
        + entry(
            "c",
            'where = [{ parameter = "z", at_most = 5 }, { parameter = "z", exists = true }]',
            "page = {exists = true}",
        )
        + entry("d", 'value = "event"')
    )
    assert loaded.carried_parameters() == (
        CarriedParameter("b", as_number=True),
        CarriedParameter("z", as_number=False),
        CarriedParameter("z", as_number=True),
    )


def test_deprecated_entry_counts_as_its_replacement_or_else_as_itself(alone):
    loaded = alone(
        entry("new")
        + entry("old", 'deprecated = "1.1"', 'replaced_by = "new"')
        + entry("gone", 'deprecated = "1.2"', 'since = "1.1"')
        + '[[micro_conversions]]\nid = "old_goal"\nkind = "macro"\nstage = "decision"\nevent = "x"\n'
        + 'deprecated = "1.2"\nreplaced_by = "goal"\n',
        version="1.10",
    )
    assert [each.counts_as for each in loaded.entries] == ["goal", "new", "new", "gone", "goal"]
    assert loaded.macros == ("goal",)


# A file over a preset


def test_file_replaces_in_place_removes_and_appends(write):
    text = 'name = "Our shop"\nremove = ["scroll", "refund"]\n' + entry("size_guide")
    changed = '[[micro_conversions]]\nid = "add_to_cart"\nkind = "milestone"\nstage = "decision"\nevent = "cart_add"\n'
    preset = load_taxonomy(preset="ecommerce", file=None)
    merged = load_taxonomy(preset="ecommerce", file=write(text + changed, version="2.3"))
    kept = tuple(each for each in preset.ids if each not in {"scroll", "refund"})
    assert merged.ids == (*kept, "size_guide")
    assert merged.entry("add_to_cart").events == ("cart_add",)
    assert merged.entry("add_to_cart").name == "Add to cart"
    assert (merged.name, merged.version) == ("Our shop", "2.3")
    assert merged.fingerprint != preset.fingerprint


def test_file_without_a_name_keeps_the_presets_name(write):
    assert load_taxonomy(preset="saas", file=write("", version="2.0")).name == "saas"


@pytest.mark.parametrize("preset", [None, "none"])
def test_file_may_stand_alone(preset, write):
    loaded = load_taxonomy(preset=preset, file=write(GOAL))
    assert (loaded.ids, loaded.name) == (("goal",), "taxonomy")


def test_byte_order_mark_of_windows_editors_is_no_error(tmp_path):
    path = tmp_path / "t.toml"
    path.write_text('version = "1.0"\n' + GOAL, encoding="utf-8-sig")
    assert load_taxonomy(preset=None, file=path).ids == ("goal",)


# Fingerprint

_TEXTS = st.text(alphabet="abc/-_ü\"'\\ ", min_size=1, max_size=5)
_NUMBERS = st.integers(0, 9) | st.floats(0, 9)
_CONDITIONS = st.one_of(
    st.fixed_dictionaries({"parameter": st.sampled_from(["p", "q.r"]), operator: operands})
    for operator, operands in {
        "equals": _TEXTS,
        "any_of": st.lists(_TEXTS, min_size=1, max_size=3),
        "contains": _TEXTS,
        "starts_with": _TEXTS,
        "at_least": _NUMBERS,
        "at_most": _NUMBERS,
        "exists": st.booleans(),
    }.items()
)
_ENTRIES = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True),
            "kind": st.sampled_from(["milestone", "secondary", "macro"]),
            "stage": st.sampled_from(["awareness", "consideration", "decision", "post_sale"]),
            "event": st.lists(st.sampled_from(["e", "f", "g"]), min_size=1, max_size=3),
            "where": st.lists(_CONDITIONS, min_size=1, max_size=3),
        },
        optional={"value": st.just("event") | _NUMBERS, "page": st.fixed_dictionaries({"contains": _TEXTS})},
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda each: each["id"],
)


def _toml(value: object, chance: random.Random) -> str:
    if isinstance(value, dict):
        keys = chance.sample(list(value), len(value))
        return "{ " + ", ".join(f"{key} = {_toml(value[key], chance)}" for key in keys) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(each, chance) for each in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def _written(entries: list[dict[str, object]], chance: random.Random) -> str:
    """The same taxonomy in another hand: keys, events and conditions shuffled, comments and names of its own."""
    lines = [f"# {chance.random()}", f'version = "{chance.randint(1, 9)}.0"', f'name = "n{chance.random()}"']
    for each in entries:
        renamed = each | {
            "name": f"n{chance.random()}",
            "mindset": chance.choice(["curiosity", "loyalty"]),
            "event": chance.sample(each["event"], len(each["event"])),
            "where": chance.sample(each["where"], len(each["where"])),
        }
        lines.append("[[micro_conversions]]")
        for key in chance.sample(list(renamed), len(renamed)):
            lines += [f"{key} = {_toml(renamed[key], chance)}", f"# {chance.random()}"]
    return "\n".join(lines)


@given(entries=_ENTRIES, chance=st.randoms(use_true_random=False), data=st.data())
@settings(max_examples=60, deadline=None)
def test_fingerprint_is_of_the_meaning_not_of_the_writing(tmp_path_factory, entries, chance, data):
    path = tmp_path_factory.mktemp("fingerprint") / "t.toml"
    entries = [{"id": "the_goal_itself", "kind": "macro", "stage": "decision", "event": ["e"], "where": []}, *entries]

    def fingerprint(written: list[dict[str, object]]) -> str:
        path.write_text(_written(written, chance), encoding="utf-8")
        return load_taxonomy(preset=None, file=path).fingerprint

    before = fingerprint(entries)
    assert fingerprint(entries) == before
    changed = data.draw(st.integers(1, len(entries) - 1))
    condition = data.draw(_CONDITIONS)
    where = entries[changed]["where"]
    others = [dict(each) for each in entries]
    others[changed]["where"] = [condition, *where[1:]]
    assert (fingerprint(others) == before) == (_same(condition, where[0]))
    others[changed]["where"] = [*where, {"parameter": "added", "exists": True}]
    assert fingerprint(others) != before


def _same(one: dict[str, object], other: dict[str, object]) -> bool:
    def canonical(condition: dict[str, object]) -> dict[str, object]:
        # bool first: True == 1 in Python, and `exists` is never compared with a number here.
        return {key: set(value) if isinstance(value, list) else value for key, value in condition.items()}

    return canonical(one) == canonical(other)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("value = 1", "value = 2"),
        ("value = 1", 'value = "event"'),
        ('kind = "secondary"', 'kind = "milestone"'),
        ('stage = "consideration"', 'stage = "awareness"'),
        ('event = "x"', 'event = "z"'),
        ('id = "x"', 'id = "z"'),
        ('starts_with = "/a"', 'starts_with = "/b"'),
        ('starts_with = "/a"', 'contains = "/a"'),
        ('replaced_by = "x"', 'replaced_by = "goal"'),
    ],
)
def test_fingerprint_changes_with_what_staged_rows_depend_on(alone, before, after):
    text = entry("x", "value = 1", 'page = { starts_with = "/a" }') + entry(
        "old", 'deprecated = "1.0"', 'replaced_by = "x"'
    )
    changed = text.replace(before, after, 1)
    assert changed != text
    if before.startswith("id"):
        changed = changed.replace('replaced_by = "x"', 'replaced_by = "z"')
    assert alone(changed).fingerprint != alone(text).fingerprint


def test_fingerprint_changes_when_the_order_within_a_stage_does(alone):
    assert alone(entry("a") + entry("b")).fingerprint != alone(entry("b") + entry("a")).fingerprint
    early = entry("c", stage="awareness")
    assert alone(entry("a") + early).fingerprint == alone(early + entry("a")).fingerprint


def test_fingerprint_is_the_same_in_every_process():
    code = "from microconv.taxonomy import load_taxonomy as l; print(l(preset='saas', file=None).fingerprint)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert found == load_taxonomy(preset="saas", file=None).fingerprint
    assert len(found) == 64


# Documentation

PAGE = Path(__file__).parent.parent / "docs" / "taxonomy.md"


def test_every_file_shown_in_the_documentation_is_valid(tmp_path):
    shown = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(shown) >= 3
    for number, text in enumerate(shown):
        path = tmp_path / f"{number}.toml"
        path.write_text(text if "version = " in text else f'version = "1.0"\n{text}', encoding="utf-8")
        assert find_problems(preset="ecommerce", file=path) == ()


def test_documentation_names_every_key_operator_and_preset():
    text = PAGE.read_text(encoding="utf-8")
    keys = {"version", "name", "remove", "micro_conversions", "event", "page", *MicroConversion.model_fields} - {
        "events"
    }
    assert {word for word in (*keys, *OPERATORS, *PRESETS) if f"`{word}`" not in text} == set()
