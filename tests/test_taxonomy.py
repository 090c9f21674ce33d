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
from microconv.taxonomy import PRESETS, MicroConversion, find_problems, load_taxonomy
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
    assert loaded.name == preset
    assert text.startswith("# ")
    assert text.count('since = "') == len(loaded.entries) + len(loaded.signals)
    assert max(each.since for each in loaded.entries) == loaded.version


@pytest.mark.parametrize("preset", PRESETS)
def test_every_entry_of_a_preset_says_what_it_means_and_what_holds_people_back(preset):
    text = (PRESET_FOLDER / f"{preset}.toml").read_text(encoding="utf-8")
    loaded = load_taxonomy(preset=preset, file=None)
    entries = (*loaded.entries, *loaded.signals)
    for each in entries:
        assert {"name", "stage", "kind", "mindset", "description", "friction"} <= each.model_fields_set
        assert each.description.endswith(".")
        assert each.friction.endswith(".")
    assert text.count("mindset = ") == len(entries)
    assert len({each.description for each in entries}) == len(entries)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_know_the_parameters_that_ga4_asks_for(preset):
    asked = {
        "search": "search_term",
        "sign_up": "method",
        "login": "method",
        "add_to_cart": "currency",
        "begin_checkout": "currency",
        "disqualify_lead": "disqualified_lead_reason",
        "close_unconvert_lead": "unconvert_lead_reason",
        "working_lead": "lead_status",
        "unlock_achievement": "achievement_id",
        "join_group": "group_id",
    }
    loaded = load_taxonomy(preset=preset, file=None)
    for each in loaded.entries:
        if each.id in asked and each.events[:1] == (each.id,) and (preset, each.id) != ("publisher", "join_group"):
            assert asked[each.id] in {parameter.name for parameter in each.parameters}, each.id
    assert (
        "transaction_id" in {name for each in loaded.entries for name in each.identifiers}
        or preset == "lead_generation"
    )


def test_entries_of_the_first_presets_mean_what_they_meant():
    named = {
        "ecommerce": "scroll view_promotion select_promotion view_item_list search select_item view_item video_start"
        " video_progress video_complete file_download share newsletter_signup generate_lead sign_up login"
        " add_to_wishlist add_to_cart view_cart remove_from_cart begin_checkout add_shipping_info add_payment_info"
        " purchase refund",
        "saas": "scroll video_start search video_complete docs_view case_study_view file_download newsletter_signup"
        " pricing_view generate_lead sign_up login start_trial tutorial_begin tutorial_complete invite begin_checkout"
        " add_payment_info subscribe join_group share subscription_renew subscription_cancel refund",
        "publisher": "select_content scroll_half video_start article_read search video_half video_complete"
        " file_download share comment join_group newsletter_signup paywall_view sign_up login begin_checkout"
        " add_payment_info subscribe subscription_renew subscription_cancel",
        "lead_generation": "scroll video_start search video_complete share file_download newsletter_signup pricing_view"
        " contact_view phone_click email_click form_start form_submit generate_lead qualify_lead disqualify_lead"
        " working_lead close_convert_lead close_unconvert_lead",
    }
    for preset, ids in named.items():
        loaded = load_taxonomy(preset=preset, file=None)
        old = tuple(each.id for each in loaded.entries if each.since == "1.0")
        assert old == tuple(ids.split()), "their order decides ties"


@pytest.mark.parametrize(
    ("preset", "rules"),
    [
        (
            "ecommerce",
            {
                "return_after_cart": "another session after add_to_cart, without purchase between within 7d",
                "abandoned_cart": "add_to_cart without purchase within 1d",
                "abandoned_checkout": "begin_checkout without purchase within 1h",
            },
        ),
        (
            "saas",
            {
                "pricing_in_two_sessions": "pricing_view in 2 sessions within 30d",
                "trial_stall": "no milestone or macro after start_trial for 7d",
                "abandoned_checkout": "begin_checkout without subscribe within 1h",
            },
        ),
        (
            "publisher",
            {
                "regular_reader": "article_read on 3 days within 7d",
                "paywall_three_times": "paywall_view 3 times within 30d",
                "abandoned_checkout": "begin_checkout without subscribe within 1h",
            },
        ),
        (
            "lead_generation",
            {
                "pricing_in_two_sessions": "pricing_view in 2 sessions within 30d",
                "abandoned_form": "form_start without form_submit or generate_lead within 30m",
            },
        ),
        (
            "mobile_app",
            {
                "used_on_three_days": "app_session on 3 days within 7d",
                "abandoned_checkout": "begin_checkout without purchase or in_app_purchase within 1h",
            },
        ),
    ],
)
def test_presets_derive_what_no_single_event_shows(preset, rules):
    loaded = load_taxonomy(preset=preset, file=None)
    found = {each.id: each.derivation.describe() for each in loaded.entries if each.derivation}
    assert found == rules
    wavering = {each.id for each in loaded.entries if each.is_hesitation}
    assert {name for name in rules if name.startswith(("abandoned", "trial_stall"))} <= wavering
    assert all(loaded.entry(name).kind == "secondary" for name in wavering)


def test_view_of_a_page_comes_before_what_happens_on_it(alone):
    seen = entry("prices", event="page_view") + entry("prices_opened")
    loaded = alone(entry("read", event="scroll", stage="awareness") + seen)
    assert loaded.event_ranks() == {
        "scroll": 1,
        "prices_opened": loaded.rank("prices_opened"),
        "goal": loaded.rank("goal"),
    }


@pytest.mark.parametrize("preset", PRESETS)
def test_no_preset_counts_every_page_view(preset):
    for each in load_taxonomy(preset=preset, file=None).entries:
        everywhere = {"page_view", "screen_view", "session_start", "first_visit", "user_engagement"} & set(each.events)
        assert each.where or not everywhere


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
        (
            "mobile_app",
            ["first_open", "tutorial_complete", "sign_up", "pricing_screen", "start_trial", "in_app_purchase"],
            ("in_app_purchase", "purchase", "subscribe"),
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
    assert {each.parameter for entry in loaded.entries for each in entry.conditions() if each.parameter} == {"link_url"}


# Reading entries


def test_an_entry_needs_only_id_kind_stage_and_event(alone):
    bare = alone(entry("size_guide")).entry("size_guide")
    assert (bare.name, bare.mindset, bare.value, bare.where) == ("Size guide", "consideration", None, ())
    assert (bare.since, bare.deprecated_in, bare.counts_as) == ("1.0", None, "size_guide")


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


def test_goal_of_a_question_is_the_one_given_or_else_the_first_macro(alone):
    loaded = alone(entry("new") + entry("old", 'deprecated = "1.1"', 'replaced_by = "new"'), version="1.2")
    assert [loaded.goal(given) for given in (None, "new", "old")] == ["goal", "new", "new"]
    with pytest.raises(TaxonomyError):
        loaded.goal("neww")


@pytest.mark.parametrize("key", ["deprecated", "deprecated_in"])
def test_both_names_of_the_version_of_deprecation_are_read(alone, key):
    loaded = alone(entry("old", f'{key} = "1.0"'))
    assert loaded.entry("old").deprecated_in == "1.0"
    assert loaded.entry("old").is_retired


def test_removal_that_lies_ahead_is_announced_and_changes_nothing(alone):
    announced = alone(entry("old", 'removed_in = "2.0"'))
    assert announced.fingerprint == alone(entry("old")).fingerprint
    assert announced.ids == ("goal", "old")
    assert announced.entry("old").is_retired


def test_removed_entry_counts_nothing_and_is_told_apart_from_one_that_never_was(alone):
    loaded = alone(entry("old", 'deprecated_in = "1.1"', 'removed_in = "2.0"') + entry("other"), version="2.0")
    assert loaded.ids == ("goal", "other")
    assert [each.id for each in loaded.removed] == ["old"]
    assert [each["id"] for each in loaded.document()["removed"]] == ["old"]
    with pytest.raises(TaxonomyError, match=r'no micro-conversion "old" any more: it was removed in 2\.0'):
        loaded.entry("old")


def test_removed_entry_with_a_replacement_goes_on_counting_as_it(alone):
    loaded = alone(entry("new") + entry("old", 'removed_in = "2.0"', 'replaced_by = "new"'), version="2.1")
    assert loaded.counted("old") == "new"
    assert loaded.removed == ()


CONTRACT = """
description = '''Somebody opens
  the size guide.'''
owner = "Tracking"
goal = "goal"
friction = "It opens in a new tab."
parameters = [{ name = "guide", allowed = ["shoes", "hats"] }, { name = "seconds", type = "number" }]
identifiers = "user_id"
sent_from = ["web", "app"]
triggers = "nothing"
"""


def test_contract_is_kept_and_decides_no_staged_row(alone):
    agreed = alone(entry("x", CONTRACT))
    shown = agreed.entry("x").document()
    assert agreed.fingerprint == alone(entry("x")).fingerprint
    assert shown["description"] == "Somebody opens the size guide."
    assert (shown["owner"], shown["goals"], shown["friction"]) == ("Tracking", ["goal"], "It opens in a new tab.")
    assert shown["parameters"] == [
        {"name": "guide", "type": "text", "allowed": ["shoes", "hats"], "description": ""},
        {"name": "seconds", "type": "number", "allowed": [], "description": ""},
    ]
    assert (shown["identifiers"], shown["sent_from"], shown["triggers"]) == (["user_id"], ["web", "app"], ["nothing"])


def test_goal_of_a_preset_that_the_file_removes_is_not_a_problem(write):
    assert find_problems(preset="saas", file=write('remove = ["sign_up"]')) == ()


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


def test_what_a_preset_derives_goes_with_what_it_is_derived_from(write):
    left = load_taxonomy(preset="saas", file=write('remove = ["pricing_view", "begin_checkout"]'))
    preset = load_taxonomy(preset="saas", file=None)
    gone = {"pricing_view", "pricing_in_two_sessions", "begin_checkout", "abandoned_checkout"}
    assert left.ids == tuple(each for each in preset.ids if each not in gone)
    own = entry("twice", 'derived = { of = "pricing_view", times = 2, within = "1d" }').replace('event = "twice"\n', "")
    assert any(
        "pricing_view" in each for each in find_problems(preset="saas", file=write('remove = ["pricing_view"]\n' + own))
    )


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
        "events",
        "event_pattern",
        "goals",
        "is_hesitation",
    }
    assert {word for word in (*keys, *OPERATORS, *PRESETS) if f"`{word}`" not in text} == set()


def test_an_entry_listens_to_events_of_another_system(alone):
    won = '[[micro_conversions]]\nid = "won"\nkind = "macro"\nstage = "decision"\nexternal = '
    loaded = alone(f'{won}["deal_won", "contract_signed"]\n')
    assert loaded.entry("won").external == ("deal_won", "contract_signed")
    assert loaded.entry("won").describe() == "external deal_won or contract_signed"
    assert not loaded.entry("won").is_observed
    assert [each.id for each in loaded.external_entries] == ["won"]
    assert "won" not in loaded.event_ranks()
    assert alone(f'{won}"deal_won"\n').fingerprint != loaded.fingerprint
