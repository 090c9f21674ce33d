"""Proposals for the taxonomy: what is proposed of what was staged, and that the file they are written to loads."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from microconv.audit.suggestion_file import append, check_path
from microconv.audit.suggestions import Association, Suggestion, SuggestionsResult, masked, suggest
from microconv.config.load import load_config
from microconv.config.sections import Config
from microconv.engines.base import Engine
from microconv.errors import TaxonomyError, UsageError
from microconv.project import Project
from microconv.staging.parameter_profile import ParameterProfile, ParameterUse
from microconv.taxonomy import PRESETS, Taxonomy, load_taxonomy
from microconv.taxonomy.signals import guess_event, guess_page
from microconv.taxonomy.taxonomy_text import entry_text, keys_of
from projects import write_config
from staged_rows import IN_MEMORY, SECOND, START_US, Row, at, occurrence, staged

HOUR = 3_600 * SECOND
SHOP = "https://shop.example"


def event(us: int, name: str, client: int, page: str | None = None) -> Row:
    return {
        "property": "p",
        "event_date": at(us).date(),
        "event_at": at(us),
        "event_order": (START_US + us) * 1_000,
        "event_name": name,
        "client_key": client,
        "page_location": page and SHOP + page,
    }


def rows() -> dict[str, list[Row]]:
    """Forty actors: all scroll; half ask for a quote, and half of these buy; repeats of a cart within a second."""
    events, occurrences = [], []
    for actor in range(1, 41):
        events += [event(actor, "page_view", actor, "/"), event(actor + 100, "scroll", actor, "/")]
        occurrences.append(occurrence(actor + 100, "scroll", client=actor, kind="secondary"))
        if actor % 2:
            events.append(event(SECOND + actor, "configure_kitchen", actor))
            events.append(
                event(2 * SECOND + actor, "page_view", actor, "/help/faq/" if actor % 4 == 1 else "/Help/FAQ")
            )
            events.append(event(3 * SECOND + actor, "quote_request", actor))
        if actor % 4 == 1:
            occurrences.append(occurrence(HOUR + actor, "purchase", client=actor, kind="macro"))
        occurrences += [
            occurrence(4 * SECOND + time + actor, "add_to_cart", client=actor, kind="milestone", page="/p")
            for time in (0, SECOND)
        ]
    return {"mc_events": events, "mc_micro_conversions": occurrences}


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load_config(write_config(tmp_path), {})


@pytest.fixture
def engine() -> Iterator[Engine]:
    with staged(IN_MEMORY, **rows()) as engine:
        yield engine


@pytest.fixture
def taxonomy(tmp_path: Path) -> Taxonomy:
    return of_shop(tmp_path)


def of_shop(folder: Path) -> Taxonomy:
    file = folder / "shop.toml"
    file.write_text(
        'version = "2.0"\n'
        + "".join(
            f'[[micro_conversions]]\nid = "{name}"\nevent = "{name}"\nkind = "{kind}"\nstage = "decision"\n'
            for name, kind in (
                ("scroll", "secondary"),
                ("add_to_cart", "milestone"),
                ("never", "secondary"),
                ("purchase", "macro"),
            )
        )
    )
    return load_taxonomy(preset=None, file=file)


PROFILE = ParameterProfile(
    (
        ParameterUse("configure_kitchen", "front", "string", 40, 40, 3, (("oak wood", 20), ("pine", 20))),
        ParameterUse("configure_kitchen", "page_title", "string", 40, 40, 3, (("Kitchen", 40),)),
        ParameterUse("scroll", "area", "string", 40, 40, 2, (("top", 30), ("end", 10))),
    ),
    (at(0).date(),),
)


def proposed(engine: Engine, config: Config, taxonomy: Taxonomy, **more: Any) -> dict[str, Suggestion]:
    found = suggest(engine, config, taxonomy, PROFILE, **more)
    return {f"{each.action} {each.id}": each for each in found.suggestions}


def test_events_and_pages_that_no_entry_covers_are_proposed_with_their_association(engine, config, taxonomy):
    found = proposed(engine, config, taxonomy)
    quote = found["add quote_request"]
    assert (quote.occurrences, quote.actors, quote.converted_after) == (20, 20, 10)
    assert (quote.macro_after_did, quote.macro_of_others, quote.times) == (0.5, 0.0, None)
    assert quote.stage == "decision"
    assert "serious" in quote.reason
    page = found["add faq_page"]
    assert (page.actors, page.event) == (20, "page_view")
    assert re.search(dict(page.condition)["matches"], "/HELP/faq/more")
    assert not re.search(dict(page.condition)["matches"], "/help/faqs")


def test_what_no_word_tells_is_proposed_as_doubtful(engine, config, taxonomy):
    assert proposed(engine, config, taxonomy)["add configure_kitchen"].is_doubtful


def test_values_of_parameters_are_proposed_for_events_that_no_entry_covers_and_else_to_be_carried(
    engine, config, taxonomy
):
    found = proposed(engine, config, taxonomy)
    oak = found["add configure_kitchen_oak_wood"]
    assert oak.condition == (("parameter", "front"), ("equals", "oak wood"))
    assert "carry area" in found
    assert not any("page_title" in each.matches for each in found.values())


def test_covered_and_automatic_events_are_not_proposed(engine, config, taxonomy):
    found = proposed(engine, config, taxonomy)
    assert not {"add scroll", "add page_view", "add add_to_cart"} & set(found)


def test_what_another_file_covers_is_not_proposed_again(engine, config, taxonomy, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text(
        'version = "1.0"\n[[micro_conversions]]\nid = "goal"\nkind = "macro"\nstage = "decision"\n'
        'event = { matches = "^quote_" }\n[[micro_conversions]]\nid = "faq"\nkind = "secondary"\n'
        'stage = "decision"\nevent = "page_view"\npage = { contains = "faq" }\n'
    )
    found = proposed(engine, config, taxonomy, others=(load_taxonomy(preset=None, file=other),))
    assert "add quote_request" not in found
    assert "add faq_page" not in found
    assert "add configure_kitchen" in found


def test_what_must_not_hold_covers_no_page(engine, config, taxonomy, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text(
        'version = "1.0"\n[[micro_conversions]]\nid = "goal"\nkind = "macro"\nstage = "decision"\n'
        'event = "page_view"\nwhere = [{ not = { field = "page", contains = "faq" } }]\n'
    )
    assert "add faq_page" in proposed(engine, config, taxonomy, others=(load_taxonomy(preset=None, file=other),))


def test_repeats_within_a_second_propose_to_collapse(engine, config, taxonomy):
    collapse = proposed(engine, config, taxonomy)["collapse add_to_cart"]
    assert "40 of 80 occurrences (50.0%)" in collapse.reason


def test_entries_that_were_never_seen_are_proposed_to_retire_unless_something_names_them(engine, taxonomy, tmp_path):
    config = load_config(write_config(tmp_path), {})
    assert "retire never" in proposed(engine, config, taxonomy)
    funnel = '[[funnels]]\nname = "f"\nsteps = ["never", "purchase"]\nwindow = "1d"\n'
    config = load_config(write_config(tmp_path, extra=funnel), {})
    assert "retire never" not in proposed(engine, config, taxonomy)


def test_what_predicts_nothing_is_proposed_to_retire_once_figures_are_large_enough(config, taxonomy):
    many = {"mc_events": [], "mc_micro_conversions": []}
    for actor in range(1, 2_001):
        many["mc_events"].append(event(actor, "page_view", actor, "/"))
        if actor % 2:
            many["mc_micro_conversions"].append(occurrence(actor, "scroll", client=actor, kind="secondary"))
        if actor % 4 < 2:
            many["mc_micro_conversions"].append(occurrence(HOUR + actor, "purchase", client=actor, kind="macro"))
    with staged(IN_MEMORY, **many) as engine:
        scroll = proposed(engine, config, taxonomy)["retire scroll"]
    assert "hardly more often than others" in scroll.reason
    assert scroll.times == 1.0


def test_upper_end_of_the_interval_is_that_of_katz():
    # 15 of 25 against 10 of 50, worked by hand: log ratio 1.0986, standard error 0.3266.
    figures = Association(25, 25, 15, 15, 75, 25)
    assert figures.times == pytest.approx(3.0)
    assert figures.at_most_times == pytest.approx(5.690, abs=0.01)


def test_nothing_staged_proposes_nothing_to_add(config, taxonomy):
    with staged(IN_MEMORY) as engine:
        found = suggest(engine, config, taxonomy, ParameterProfile())
    assert not found.of("add")
    assert not found.of("collapse")


@pytest.mark.parametrize(
    ("path", "entry_id"),
    [
        ("/pricing", "pricing"),
        ("/de/preise.html", "pricing"),
        ("/store-policies/return-policy/", "returns_policy"),
        ("/Shop/Wish+List", "wishlist"),
        ("/help/contact-us", "contact"),
        ("/apparel/hats", None),
        ("/", None),
    ],
)
def test_a_page_is_called_after_the_words_of_its_path(path, entry_id):
    found = guess_page(path)
    assert (found and found.id) == entry_id


def test_an_event_of_a_preset_is_what_the_preset_says_but_never_a_goal():
    tutorial = guess_event("tutorial_complete")
    assert tutorial is not None
    assert "preset saas" in tutorial.reason
    purchase = guess_event("purchase")
    assert purchase is not None
    assert purchase.kind == "secondary"


def test_examples_hide_what_may_be_personal():
    assert masked("/u/ada%40example.com/call/+44 20 7946 0958") == "/u/<e-mail>/call/<number>"


# The file


def test_written_file_is_new_loads_over_the_preset_and_says_why(engine, tmp_path):
    config = load_config(write_config(tmp_path), {})
    taxonomy = load_taxonomy(preset="ecommerce", file=None)
    path = tmp_path / "proposed.toml"
    result = suggest(engine, config, taxonomy, PROFILE)
    added = append(result, path, config, taxonomy)
    loaded = load_taxonomy(preset="ecommerce", file=path)
    new = len(loaded.entries) - len(taxonomy.entries)
    assert new == sum(not each.is_doubtful for each in result.of("add")) > 0
    assert added == new + len(result.of("collapse"))
    text = path.read_text()
    assert "# 20 occurrences, 20 actors. Raw association: 50.0% had a macro-conversion afterwards (10 of 20)" in text
    assert '# id = "configure_kitchen"' in text  # doubtful, so a comment


def test_proposals_are_added_to_the_configured_file_and_what_is_there_stays(engine, tmp_path):
    of_shop(tmp_path)
    config = load_config(write_config(tmp_path, extra='[taxonomy]\npreset = "none"\nfile = "shop.toml"\n'), {})
    taxonomy = load_taxonomy(preset="none", file=config.taxonomy.file)
    path = tmp_path / "shop.toml"
    before = path.read_text()
    append(suggest(engine, config, taxonomy, PROFILE), path, config, taxonomy)
    assert path.read_text().startswith(before)
    again = load_taxonomy(preset="none", file=path)
    assert again.version == "2.0"
    assert "quote_request" in again.ids
    assert "# add_to_cart: 40 of 80 occurrences" in path.read_text()  # the file's own entry is not there twice
    assert not suggest(engine, config, again, ParameterProfile()).of("add") or all(
        each.is_doubtful for each in suggest(engine, config, again, ParameterProfile()).of("add")
    )


def test_collapse_of_an_entry_of_the_preset_replaces_it_by_its_like(engine, tmp_path):
    config = load_config(write_config(tmp_path, extra='[taxonomy]\npreset = "ecommerce"\n'), {})
    taxonomy = load_taxonomy(preset="ecommerce", file=None)
    path = tmp_path / "proposed.toml"
    result = suggest(engine, config, taxonomy, PROFILE)
    assert {each.id for each in result.of("collapse")} >= {"add_to_cart"} or taxonomy.entry("add_to_cart").collapse
    append(result, path, config, taxonomy)
    found, was = load_taxonomy(preset="ecommerce", file=path).entry("add_to_cart"), taxonomy.entry("add_to_cart")
    assert str(found.collapse) == "1s"
    assert {**found.document(), "collapse": None} == {**was.document(), "collapse": None}


@pytest.mark.parametrize("preset", ["ecommerce", "saas", "publisher", "lead_generation", "mobile_app"])
def test_every_entry_of_a_preset_can_be_written_and_read_back(preset, tmp_path):
    taxonomy = load_taxonomy(preset=preset, file=None)
    file = tmp_path / "copy.toml"
    text = "\n".join(entry_text(keys_of(each)) for each in (*taxonomy.staged, *taxonomy.removed))
    file.write_text(f'version = "{taxonomy.version}"\n{text}', encoding="utf-8")
    copied = load_taxonomy(preset=None, file=file)
    assert [each.document() for each in copied.staged] == [each.document() for each in taxonomy.staged]


def test_proposed_ids_are_unused_also_by_signals_and_by_what_was_removed(engine, tmp_path):
    of_shop(tmp_path)
    path = tmp_path / "shop.toml"
    taken = {"faq_page": "counts = false", "quote_request": 'removed_in = "1.5"', "configure_kitchen": ""}
    more = "".join(
        f'[[micro_conversions]]\nid = "{name}"\nevent = "old_{name}"\nkind = "secondary"\nstage = "decision"\n{line}\n'
        for name, line in taken.items()
    )
    path.write_text(path.read_text() + more)
    config = load_config(write_config(tmp_path, extra='[taxonomy]\npreset = "none"\nfile = "shop.toml"\n'), {})
    taxonomy = load_taxonomy(preset="none", file=path)
    result = suggest(engine, config, taxonomy, PROFILE)
    ids = [each.id for each in result.of("add")]
    assert {"faq_page_2", "quote_request_2", "configure_kitchen_2"} <= set(ids)
    assert len(set(ids)) == len(ids)
    assert not set(ids) & {entry.id for entry in (*taxonomy.staged, *taxonomy.removed)}
    append(result, path, config, taxonomy)
    assert load_taxonomy(preset="none", file=path).ids


@pytest.mark.parametrize("preset", PRESETS)
def test_proposals_over_any_preset_take_no_id_of_it_and_load(engine, tmp_path, preset):
    config = load_config(write_config(tmp_path, extra=f'[taxonomy]\npreset = "{preset}"\n'), {})
    taxonomy = load_taxonomy(preset=preset, file=None)
    result = suggest(engine, config, taxonomy, PROFILE)
    ids = {each.id for each in result.of("add")}
    assert ids
    assert not ids & {entry.id for entry in taxonomy.staged}
    path = tmp_path / "proposed.toml"
    append(result, path, config, taxonomy)
    loaded = load_taxonomy(preset=preset, file=path)
    # What is written whole, to collapse it, means what it meant.
    for each in taxonomy.entries:
        was, now = ({**one.document(), "collapse": None} for one in (each, loaded.entry(each.id)))
        assert was == now


def test_file_is_held_to_the_lookback_of_the_configuration(engine, tmp_path):
    of_shop(tmp_path)
    path = tmp_path / "shop.toml"
    path.write_text(
        path.read_text() + '[[micro_conversions]]\nid = "regular"\nkind = "secondary"\nstage = "post_sale"\n'
        'derived = { of = "purchase", times = 2, within = "180d" }\n'
    )
    section = '[taxonomy]\npreset = "none"\nfile = "shop.toml"\nlookback = "180d"\n'
    with Project(load_config(write_config(tmp_path, extra=section), {})) as project:
        result = suggest(engine, project.config, project.taxonomy, PROFILE)
        assert append(result, path, project.config, project.taxonomy)


@pytest.mark.parametrize("place", ["microconv.toml", "orders.csv", "exports"])
def test_no_other_file_is_written_to(engine, tmp_path, place):
    config = load_config(write_config(tmp_path), {})
    taxonomy = load_taxonomy(preset="ecommerce", file=None)
    (tmp_path / "orders.csv").write_text("id,amount\n1,2\n")
    (tmp_path / "exports").mkdir()
    with pytest.raises(UsageError):
        append(suggest(engine, config, taxonomy, PROFILE), tmp_path / place, config, taxonomy)
    assert (tmp_path / "orders.csv").read_text() == "id,amount\n1,2\n"


def test_a_taxonomy_file_with_problems_is_left_as_it_is(tmp_path):
    config = load_config(write_config(tmp_path), {})
    path = tmp_path / "broken.toml"
    path.write_text('version = "1.0"\n[[micro_conversions]]\nid = "a"\n')
    with pytest.raises(TaxonomyError):
        check_path(path, config)


def test_proposals_that_would_not_load_leave_no_file(engine, tmp_path):
    config = load_config(write_config(tmp_path, extra='[taxonomy]\npreset = "none"\nfile = "shop.toml"\n'), {})
    taxonomy = of_shop(tmp_path)
    path = tmp_path / "alone.toml"  # alone it has no macro-conversion
    with pytest.raises(TaxonomyError, match="macro-conversion"):
        append(suggest(engine, config, taxonomy, ParameterProfile()), path, config, taxonomy)
    assert not path.exists()


hostile = st.text(
    st.one_of(st.sampled_from("\"'\\\n\r\t#[]={}\x00\x7f\u2028\x85<>&"), st.characters(exclude_categories=["Cs"])),
    min_size=1,
    max_size=30,
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=hostile, value=hostile, example=hostile)
def test_names_of_attackers_stay_text_in_the_file(tmp_path, name, value, example):
    config = load_config(write_config(tmp_path), {})
    taxonomy = load_taxonomy(preset="ecommerce", file=None)
    events = [event(actor * 10 + time, name, actor) for actor in range(1, 21) for time in (1, 2)]
    profile = ParameterProfile((ParameterUse(name, "kind", "string", 40, 40, 2, ((value, 20), (example, 20))),))
    with staged(IN_MEMORY, mc_events=events) as engine:
        result = suggest(engine, config, taxonomy, profile)
    path = tmp_path / "hostile.toml"
    path.unlink(missing_ok=True)
    append(result, path, config, taxonomy)
    loaded = load_taxonomy(preset="ecommerce", file=path)
    own = {each.id for each in result.of("add") if not each.is_doubtful}
    assert set(loaded.ids) - set(taxonomy.ids) == own - set(taxonomy.ids)
    assert set(tomllib.loads(path.read_text(encoding="utf-8"))) <= {"name", "version", "micro_conversions"}
    json.dumps(result.document())


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=8), st.one_of(hostile, st.booleans(), st.integers(-9, 9)), max_size=4), hostile)
def test_keys_and_values_are_read_back_as_they_were(table, text):
    loaded = tomllib.loads(entry_text({"where": [table], "event": text}))
    assert loaded == {"micro_conversions": [{"where": [table], "event": text}]}


def test_result_without_proposals_says_so():
    nothing = SuggestionsResult((), (), "Nothing to propose.")
    assert list(nothing.sheets()) == []
