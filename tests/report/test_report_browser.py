"""The page in a real browser, on a desk and on a phone."""

from __future__ import annotations

import importlib.util
import re
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect
from report_parts import CHARTS, with_all_parts
from report_sample import answered, funnel

from microconv.analyses.attribution.credits import AttributionCredit, AttributionResult, Untouched
from microconv.analyses.channels import ChannelSessions, ChannelsResult
from microconv.priorities.prioritize import PrioritiesResult
from microconv.report import write_report
from microconv.report.overview import MOST_LINES

DESK, PHONE = 1280, 390
WIDTHS = (360, 768, 1440)
EVIL = "</script><img src=x onerror=alert(1)><b>Bold</b>"


@dataclass
class _Watched:
    page: Page
    trouble: list[str] = field(default_factory=list)


@pytest.fixture
def look(browser, tmp_path):
    """Write the report, open it, and note every console message, error, dialog and request but the one for the page."""

    @contextmanager
    def open_report(data, width, **options):
        path = write_report(data, tmp_path / "report.html")
        with browser.new_context(viewport={"width": width, "height": 900}, **options) as context:
            page = context.new_page()
            watched = _Watched(page)
            page.on("console", lambda message: watched.trouble.append(f"console {message.type}: {message.text}"))
            page.on("pageerror", lambda error: watched.trouble.append(f"error: {error}"))
            page.on("dialog", lambda dialog: (watched.trouble.append("dialog"), dialog.dismiss()))
            page.on(
                "request",
                lambda request: (
                    None
                    if request.url in (path.as_uri(), "data:,")
                    else watched.trouble.append(f"request: {urlsplit(request.url).scheme}")
                ),
            )
            page.goto(path.as_uri())
            yield watched

    return open_report


@pytest.fixture
def whole(report_data, tmp_path):
    """Return a report's data with every section, and a hostile name in each."""
    return with_all_parts(report_data, tmp_path, EVIL)


@pytest.fixture(scope="module")
def axe() -> str:
    """Return the script of axe-core, which a package for tests brings."""
    found = importlib.util.find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        pytest.skip("axe-playwright-python is not installed: make test brings it")
    return Path(found.origin).with_name("axe.min.js").read_text(encoding="utf-8")


def _overflow(page):
    return page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


def _drawn(page):
    """Return the ids of visible charts, each with whether its drawing is there and fits."""
    return page.evaluate(
        """Object.fromEntries(Array.from(document.querySelectorAll(".chart"))
             .filter((chart) => chart.offsetParent !== null)
             .map((chart) => {
               const svg = chart.querySelector("svg.main-svg");
               return [chart.id, svg !== null && svg.getBoundingClientRect().right <= window.innerWidth
                 && svg.getBoundingClientRect().width > 250];
             }))"""
    )


@pytest.mark.parametrize("width", [DESK, PHONE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_is_whole_quiet_and_fits(look, report_data, width, scheme):
    with look(report_data, width, color_scheme=scheme) as seen:
        assert seen.page.get_by_text("The charts need JavaScript.").is_hidden()
        assert _drawn(seen.page) == dict.fromkeys(["funnel-1", "funnel-2", "window-3-chart", "channels-chart"], True)
        assert _overflow(seen.page) <= 0
        assert seen.trouble == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_page_with_every_section_fits_and_axe_finds_nothing_serious(look, whole, axe, width, scheme):
    with look(whole, width, color_scheme=scheme) as seen:
        drawn = seen.page.evaluate(
            """Array.from(document.querySelectorAll(".chart"))
                 .filter((chart) => chart.offsetParent !== null && chart.querySelector("svg.main-svg"))
                 .map((chart) => chart.id)"""
        )
        seen.page.evaluate(axe)
        found = seen.page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        serious = [
            (each["impact"], each["id"], each["nodes"][0]["html"])
            for each in found["violations"]
            if each["impact"] in ("serious", "critical")
        ]

        assert {*CHARTS} <= {*drawn}
        assert len(found["passes"]) > 20
        assert serious == []
        assert _overflow(seen.page) <= 0
        assert seen.page.locator("img").count() == 0
        assert seen.trouble == []


def test_the_contents_say_where_the_reader_is_and_stay_in_sight_on_a_desk(look, report_data, tmp_path):
    with look(with_all_parts(report_data, tmp_path, "newsletter_signup"), 1440) as seen:
        seen.page.get_by_role("navigation").get_by_role("link", name="Attribution").click()
        current = seen.page.locator("nav a[aria-current]")

        expect(current).to_have_text("Attribution")
        expect(current).to_be_in_viewport()


@pytest.mark.parametrize("width", [DESK, PHONE])
def test_page_without_data_is_quiet_and_fits(look, empty_data, width):
    with look(empty_data, width) as seen:
        assert seen.page.locator("svg.main-svg").count() == 0
        assert _overflow(seen.page) <= 0
        assert seen.trouble == []


@pytest.mark.parametrize("width", [DESK, PHONE])
def test_window_selector_shows_the_chosen_window_alone_and_draws_it(look, report_data, width):
    with look(report_data, width) as seen:
        for label, chart in (("1 day", "window-1-chart"), ("7 days", "window-2-chart"), ("30 days", "window-3-chart")):
            seen.page.get_by_role("radio", name=label, exact=True).check()

            assert [panel for panel in _drawn(seen.page).items() if panel[0].startswith("window")] == [(chart, True)]
            assert seen.page.get_by_role("heading", name=f"Within {label}").is_visible()
            assert seen.page.locator(".panel:visible").count() == 1
        assert _overflow(seen.page) <= 0
        assert seen.trouble == []


def test_window_selector_works_with_the_keyboard(look, report_data):
    with look(report_data, DESK) as seen:
        seen.page.locator(".choice input:checked").focus()
        seen.page.keyboard.press("ArrowLeft")

        assert seen.page.get_by_role("heading", name="Within 7 days").is_visible()


def test_tables_open_and_scroll_inside_themselves_on_a_phone(look, report_data):
    with look(report_data, PHONE) as seen:
        for summary in seen.page.locator("summary:visible").all():
            summary.click()
        heat = seen.page.locator(".heat")
        heat.evaluate("element => { element.scrollLeft = 10_000; }")

        assert seen.page.locator("#window-3").get_by_text("180.0 (45.0%)").is_visible()
        assert heat.evaluate("element => element.scrollLeft") > 100
        # The names stay in sight while the days move under them.
        assert heat.locator("th[scope=row]").first.bounding_box()["x"] >= 0
        assert _overflow(seen.page) <= 0


@pytest.mark.parametrize("touchpoint", ["Organic Search", "/collections/autumn/" + "a-very-long-name-of-a-page/" * 5])
@pytest.mark.parametrize("width", [1440, DESK])
def test_credits_of_eight_models_are_seen_whole_on_a_desk(look, report_data, width, touchpoint):
    models = ("first", "last", "last_non_direct", "linear", "time_decay", "position", "markov", "shapley")
    shares = {touchpoint: 0.998, "Unassigned": 0.002}
    large = AttributionResult(
        "purchase",
        12_345,
        756_501.6,
        tuple(
            AttributionCredit(model, "30d", name, 12_345 * share, 756_501.6 * share)
            for model in models
            for name, share in shares.items()
        ),
        (Untouched("30d", 0, 0.0),),
        (),
    )
    with look(answered(report_data, large), width) as seen:
        for summary in seen.page.locator("summary:visible").all():
            summary.click()

        cut = "element => element.scrollWidth > element.clientWidth"
        opened = seen.page.locator("#attribution details[open] .scroll").all()
        assert len(opened) == 2
        assert not any(each.evaluate(cut) for each in opened)
        assert _overflow(seen.page) <= 0


@pytest.mark.parametrize("width", [DESK, PHONE])
def test_heads_stand_below_their_caption_without_a_gap(look, report_data, width):
    with look(report_data, width) as seen:
        for summary in seen.page.locator("summary:visible").all():
            summary.click()
        gaps = seen.page.evaluate(
            """Array.from(document.querySelectorAll("table"))
                 .filter((table) => table.offsetParent && table.caption && !table.closest(".heat"))
                 .map((table) => {
                   const inside = (element) => {
                     const range = document.createRange();
                     range.selectNodeContents(element);
                     return range.getBoundingClientRect();
                   };
                   const heads = Array.from(table.tHead.querySelectorAll("th"));
                   return Math.max(...heads.map((head) => inside(head).top)) - inside(table.caption).bottom;
                 })"""
        )
        captions = seen.page.locator(".scroll:visible caption span").all()

        assert len(gaps) > 4
        assert max(gaps) < (16 if width == PHONE else 40)
        assert all(each.bounding_box()["x"] + each.bounding_box()["width"] <= width for each in captions)


def test_names_are_drawn_as_they_are_and_run_nothing(look, report_data):
    data = answered(
        replace(report_data, project_name=EVIL),
        funnel("evil", {EVIL: 10, "<b>x</b>": 4}),
        ChannelsResult((ChannelSessions("<i>a&b</i>", 10, 5, 5, 20), ChannelSessions(EVIL, 5, 5, 5, 20)), "", ()),
    )
    with look(data, PHONE) as seen:
        ticks = seen.page.locator("#channels-chart .ytick text").all_text_contents()

        assert ticks[0].strip() == "<i>a&b</i>"
        assert ticks[1].strip() == f"{EVIL[:19]}…"
        assert seen.page.locator("h1").text_content() == EVIL
        assert seen.page.locator("img").count() == 0
        assert _overflow(seen.page) <= 0
        assert seen.trouble == []


def test_charts_follow_the_theme(look, report_data):
    with look(report_data, DESK, color_scheme="light") as seen:
        bar = seen.page.locator("#channels-chart .bars path").first
        expect(bar).to_have_css("fill", "rgb(28, 110, 114)")
        # The page hears of the change with its next frame, so the colour is waited for.
        seen.page.emulate_media(color_scheme="dark")
        expect(bar).to_have_css("fill", "rgb(91, 181, 178)")


def test_page_prints_light_whole_and_comes_back(look, report_data):
    with look(report_data, DESK, color_scheme="dark") as seen:
        seen.page.evaluate(
            """window.addEventListener("beforeprint", () => {
                 window.printed = {
                   open: document.querySelectorAll("details:not([open], .query)").length === 0,
                   fill: document.querySelector("#channels-chart .bars path").style.fill,
                   width: document.querySelector("#channels-chart svg.main-svg").clientWidth,
                 };
               })"""
        )
        seen.page.pdf(format="A4")

        assert seen.page.evaluate("window.printed") == {"open": True, "fill": "rgb(28, 110, 114)", "width": 660}
        assert seen.page.locator("details[open]").count() == 0
        assert _drawn(seen.page)["channels-chart"] is True
        assert seen.page.locator("#channels-chart svg.main-svg").first.evaluate("svg => svg.clientWidth") < 600
        assert seen.trouble == []


def test_the_summary_is_one_page_of_paper(look, report_data, tmp_path):
    said = "The share of the visitors of the shop that come to the goal is not what it was in the days before. " * 3
    full = with_all_parts(report_data, tmp_path, "newsletter_signup")
    long = replace(
        full.result(PrioritiesResult),
        priorities=tuple(replace(each, what=said) for each in full.result(PrioritiesResult).priorities),
    )
    with look(replace(answered(full, long), sections=("overview",)), DESK) as seen:
        assert seen.page.locator("ol.first li").count() == MOST_LINES
        assert len(re.findall(rb"/Type\s*/Page\b", seen.page.pdf(format="A4"))) == 1


def test_a_flow_is_on_paper_as_wide_as_the_paper_at_once(look, report_data, tmp_path):
    with look(with_all_parts(report_data, tmp_path, "newsletter_signup"), DESK) as seen:
        seen.page.evaluate(
            """window.addEventListener("beforeprint", () => {
                 const chart = document.getElementById("paths-chart");
                 const right = (each) => each.getBoundingClientRect().right - chart.getBoundingClientRect().left;
                 window.flow = Math.max(...Array.from(chart.querySelectorAll(".node-rect"), right));
                 window.bands = chart.querySelectorAll(".sankey-link").length;
               })"""
        )
        seen.page.pdf(format="A4")

        assert 600 < seen.page.evaluate("window.flow") <= 660
        assert seen.page.evaluate("window.bands") == 4


def test_without_scripts_every_window_and_table_is_there(look, report_data):
    with look(report_data, PHONE, java_script_enabled=False) as seen:
        assert seen.page.locator(".panel:visible").count() == 3
        assert seen.page.locator(".choice").is_hidden()
        assert seen.page.get_by_text("The charts need JavaScript.").is_visible()
