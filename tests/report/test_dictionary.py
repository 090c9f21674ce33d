"""`taxonomy docs`: the dictionary and the journey map say what the taxonomy says, and nothing in it does anything."""

from __future__ import annotations

import re
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from commands import microconv
from microconv.config.load import load_config
from microconv.errors import UsageError
from microconv.markdown import markdown
from microconv.report.dictionary import check_dictionary_path, dictionary, render, write_dictionary
from microconv.staging.volumes import Volume
from microconv.taxonomy import Taxonomy, load_taxonomy
from projects import write_config

ENTRIES = """
version = "2.0"
[[micro_conversions]]
id = "guide"
name = "Guide opened"
description = "Somebody opens the guide."
event = "guide"
kind = "secondary"
stage = "consideration"
owner = "Ada"
friction = "It is long."
goal = "buy"
parameters = [{ name = "method", type = "text", allowed = ["pdf", "web"] }]
identifiers = "form_id"
sent_from = "web"
triggers = "weekly mail"
[[micro_conversions]]
id = "old_guide"
event = "click_guide"
kind = "secondary"
stage = "consideration"
deprecated_in = "2.0"
replaced_by = "guide"
[[micro_conversions]]
id = "buy"
event = "buy"
kind = "macro"
stage = "decision"
"""
FUNNEL = '[[funnels]]\nname = "way"\nsteps = ["guide", "buy"]\nwindow = "1d"\n'
VOLUMES = {"guide": Volume("guide", 1_234, 56, date(2024, 3, 1), date(2024, 3, 9))}


def document(folder: Path, text: str = ENTRIES, volumes: dict[str, Volume] | None = VOLUMES):
    file = folder / "taxonomy.toml"
    file.write_text(text, encoding="utf-8")
    extra = f'{FUNNEL}[taxonomy]\npreset = "none"\nfile = "taxonomy.toml"\n'
    config = load_config(write_config(folder, extra=extra), {})
    return dictionary(config, load_taxonomy(preset="none", file=file), volumes)


def facts(folder: Path, entry_id: str, **more) -> dict[str, str]:
    return dict(next(each for each in document(folder, **more).entries if each.entry.id == entry_id).facts)


def test_entry_tells_its_contract_its_users_its_history_and_its_volume(tmp_path):
    told = facts(tmp_path, "guide")
    assert told["Owner"] == "Ada"
    assert told["Parameters"] == "method, text: pdf, web"
    assert (told["Identifiers"], told["Sent from"], told["Triggers"]) == ("form_id", "web", "weekly mail")
    assert told["Used by"] == 'funnel "way"'
    assert told["History"] == "since 1.0, also counts what was old_guide"
    assert told["Volume"] == "1,234 occurrences of 56 actors, first on 2024-03-01, last on 2024-03-09"
    assert "counts as guide" in facts(tmp_path, "old_guide")["History"]


def test_without_staged_tables_no_volume_is_claimed(tmp_path):
    assert "Volume" not in facts(tmp_path, "guide", volumes=None)
    assert "nothing is staged yet" in document(tmp_path, volumes=None).about


def test_map_names_the_stages_and_mindsets_without_a_signal(tmp_path):
    found = document(tmp_path)
    gaps = {stage.name: stage.gaps for stage in found.stages}
    assert gaps["awareness"] == ("no entry: this stage has no signal",)
    assert gaps["decision"][0] == "none of its entries was ever seen: this stage has no signal"
    assert gaps["consideration"] == ()  # what is deprecated is no gap
    assert found.silent_mindsets == ("curiosity", "loyalty")


def test_markdown_has_every_entry_and_every_stage(tmp_path):
    text = render(document(tmp_path), "markdown")
    html = MarkdownIt("gfm-like", {"linkify": False}).render(text)
    assert html.count("<h3>") == 3
    assert html.count("<tr>") == 5


class Tags(HTMLParser):
    def __init__(self, text: str):
        super().__init__()
        self.seen: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.seen.append(f"{tag} {sorted(name for name, _ in attrs)}")


NASTY = "<script>alert(1)</script> [x](javascript:1) | `a` *b* http://evil.example www.evil.example \"' &amp;"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.just(NASTY), st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60)))
def test_no_text_becomes_markup(tmp_path, text):
    plain = document(tmp_path)
    entry = plain.entries[0].entry.model_copy(update={"name": text, "description": text, "owner": text})
    changed = Taxonomy(text, "2.0", (entry, *plain.taxonomy.entries[1:]))
    config = load_config(tmp_path / "microconv.toml", {})
    named = dictionary(config, changed, VOLUMES)
    harmless = dictionary(
        config,
        Taxonomy(
            "x",
            "2.0",
            (
                entry.model_copy(update=dict.fromkeys(("name", "description", "owner"), "x" if text else "")),
                *plain.taxonomy.entries[1:],
            ),
        ),
        VOLUMES,
    )
    assert Tags(render(named, "html")).seen == Tags(render(harmless, "html")).seen
    paragraph = MarkdownIt("gfm-like", {"linkify": False}).render(markdown(text))
    assert re.sub(r"</?p>\n?", "", paragraph).count("<") == 0
    row = MarkdownIt("gfm-like", {"linkify": False}).render(f"| a | b |\n| - | - |\n| {markdown(text)} | x |\n")
    assert row.count("<td>") == 2


def test_page_asks_for_nothing_from_the_network(tmp_path):
    page = render(document(tmp_path), "html")
    assert "default-src 'none'" in page
    assert not re.search(r"<(script|link rel=\"stylesheet|img|iframe)|url\(", page)


@pytest.mark.parametrize("form", ["markdown", "html"])
def test_only_an_older_dictionary_is_replaced(tmp_path, form):
    path = tmp_path / "docs"
    check_dictionary_path(path)
    write_dictionary(render(document(tmp_path), form), path)
    check_dictionary_path(path)
    path.write_text("my notes")
    with pytest.raises(UsageError):
        check_dictionary_path(path)
    with pytest.raises(UsageError):
        check_dictionary_path(tmp_path / "taxonomy.toml", load_config(tmp_path / "microconv.toml", {}))


@pytest.mark.parametrize("width", [390, 1440])
def test_page_is_not_wider_than_its_window(tmp_path, browser, width):
    name = "a_very_long_name_that_no_line_of_a_phone_can_hold_" + "x" * 10
    path = tmp_path / "page.html"
    path.write_text(render(document(tmp_path, ENTRIES.replace("old_guide", name)), "html"))
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(path.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.close()


def test_commands_write_what_python_does(tmp_path):
    document(tmp_path)
    written = microconv(tmp_path, "taxonomy", "docs", "--format", "html", "--output", "t.html")
    assert written.code == 0, written
    assert (tmp_path / "t.html").read_text().startswith("<!doctype html>")
    shown = microconv(tmp_path, "taxonomy", "docs")
    assert shown.stdout.startswith("<!-- microconv taxonomy ")
    refused = microconv(tmp_path, "taxonomy", "suggest")
    assert refused.code == 3
    assert "Nothing is staged yet" in refused.stderr
