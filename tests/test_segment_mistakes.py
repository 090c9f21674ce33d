"""Mistakes in rules of segments are told with line, key and the nearest name; rules in the documentation load."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from config_files import MINIMAL, problem, write
from microconv.config.load import load_config
from microconv.config.segment_rules import LOOKED_UP, SegmentRule
from microconv.errors import ConfigError, TaxonomyError
from microconv.segments.compiled import compiled
from microconv.taxonomy import Taxonomy
from staged_rows import entry

ROOT = Path(__file__).parents[1]
DID = "{ did = 'a', within = '7d' }"
TAXONOMY = Taxonomy("shop", "1.0", (entry("a"), entry("b"), entry("c")))


def segments(**rules: str) -> str:
    return "".join(f"[[segments]]\nname = '{name}'\nrule = {rule}\n" for name, rule in rules.items())


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{ did = 'a', within = '7d', lapsed = 'b', for = '1d' }", "rule has did and lapsed: a rule has one of them"),
        (f"{{ any = [{DID}, {{ sequence = ['a', 'b'] }}] }}", "rule.any[1].within is required: how far back to look"),
        ("{ sequence = ['a'], within = '7d' }", "rule.sequence must have 2 to 10 steps"),
        (f"{{ all = [{DID}, {{ dit = 'a' }}] }}", 'rule.all[1].dit is not a known key (did you mean "did"?)'),
        ("{ all = [] }", "rule.all needs at least 1 entry"),
        ("{ did = [], within = '7d' }", "rule.did needs at least 1 entry"),
        ("{ within = '7d' }", "rule must have one of all, any, not, segment, did"),
        ("{ at_least = 2, within = '7d' }", "rule.did is required: the id of a micro-conversion"),
        ("{ lapsed = 'a' }", "rule.for is required: for how long it was not done again"),
        ("{ lapsed = 'a', for = '60d', of = 'b' }", 'rule.of = "b" can only be "anything" with lapsed'),
        ("{ lapsed = 'a', for = '60d', within = '7d' }", 'rule.within = "7d" does not go with lapsed'),
        ("{ last = 'a', between = ['7d', '1d'] }", 'rule.between must be the shorter time and the longer one'),
        ("{ stage = 'decide' }", 'rule.stage[0] is not "awareness", "consideration", "decision" or "post_sale"'),
        ("{ total = 'value', of = 'a', within = '7d' }", "rule must have at_least or below"),
        ("{ total = 'value', of = 'a', within = '7d', at_least = 0 }", "rule.at_least = 0 must be more than 0"),
        ("{ total = 'value', within = '7d', at_least = 1 }", "rule.of is required: whose amounts are added up"),
        ("{ did = 'a', within = '7d', at_least = 1.5 }", "rule.at_least = 1.5 must be a whole number"),
        ("{ did = 'a', within = '7d', at_least = '2' }", 'rule.at_least = "2" must be a number'),
        ("{ did = 'a', within = '7d', at_least = 3, at_most = 2 }", "rule.at_most = 2 is less than at_least (3)"),
        ("{ did = 'a', within = '7d', exactly = 3, at_most = 2 }", "rule.exactly = 3 cannot be given beside at_most"),
        ("{ channel = 'Email', touch = 'any' }", 'rule.touch = "any" is not "first" or "last"'),
        ("{ touch = 'first' }", "rule.channel is required: channel group of the actor's first or last session"),
        ("{ segment = 's', rule = { did = 'a', within = '7d' } }", "rule.rule is not a known key: name the segment"),
        ("{ did = 'a', within = '7d', where = [{ property = 'page' }] }", "where[0] must have exactly one of equals"),
        ("{ not = { not = { did = 'a' } } }", "rule.not.not.within is required"),
        ("{ segment = 'frist' }", '"frist" is not a segment of this configuration (did you mean "first"?)'),
        ("{ segment = 's' }", "rule.segment = \"s\" comes back to itself: s → s"),
        (f"{{ not = {DID} }}", "rule holds for actors who did nothing of what it names, so nearly everyone is a"),
        (f"{{ any = [{DID}, {{ not = {DID} }}] }}", "rule holds for actors who did nothing of what it names"),
        ("{ did = 'a', within = '7d', at_most = 5 }", "rule holds for actors who did nothing of what it names"),
        ("{ did = 'a', within = '7d', exactly = 0 }", "rule holds for actors who did nothing of what it names"),
        ("{ total = 'value', of = 'a', within = '7d', below = 9 }", "rule holds for actors who did nothing"),
        ("{ not = " * 14 + DID + " }" * 14, "rule nests rules more than 12 deep"),
    ],
)  # fmt: skip
def test_mistakes_in_rules(tmp_path, rule, said):
    message = problem(tmp_path, MINIMAL + segments(first=DID, s=rule))

    assert f"segments[1].{said}" in message or said in message
    assert "line " in message
    assert "problems" not in message


def test_a_circle_of_segments_is_told_with_its_chain(tmp_path):
    text = MINIMAL + segments(
        one=f"{{ all = [{DID}, {{ segment = 'two' }}] }}",
        two="{ segment = 'three' }",
        three="{ not = { segment = 'two' } }",
    )

    assert 'segments[2].rule.not.segment = "two" comes back to itself: two → three → two' in problem(tmp_path, text)


def test_the_rules_of_other_segments_are_looked_up_in_any_order(tmp_path):
    text = MINIMAL + segments(
        third=f"{{ all = [{DID}, {{ not = {{ segment = 'second' }} }}] }}", second="{ segment = 'first' }", first=DID
    )

    third = load_config(write(tmp_path, text), {}).segments[0]

    assert [each for each, _ in third.named()] == ["a", "a"]
    assert third.rule.all[1].not_.rule.rule.did == ("a",)
    assert SegmentRule.model_validate(third.rule.model_dump()) == third.rule


def test_what_a_segment_means_changes_with_the_segments_that_it_names(tmp_path):
    def structure(within: str):
        text = MINIMAL + segments(outer="{ segment = 'inner' }", inner=f"{{ did = 'a', within = '{within}' }}")
        return compiled(load_config(write(tmp_path, text), {}).segments[0].rule, TAXONOMY, None)

    assert structure("7d") == structure("7d")
    assert structure("7d") != structure("8d")


def test_a_stage_that_the_taxonomy_lacks_is_told():
    rule = SegmentRule.model_validate({"stage": "post_sale"})

    with pytest.raises(TaxonomyError, match=r'"shop" 1\.0 has no micro-conversion of the stage "post_sale"'):
        compiled(rule, TAXONOMY, None)


def test_items_cannot_be_added_up():
    rule = SegmentRule.model_validate({"total": "item_id", "of": "a", "within": "7d", "at_least": 1})

    with pytest.raises(ConfigError, match="item_id is text, one for each item"):
        compiled(rule, TAXONOMY, None)


def test_a_rule_that_holds_for_everyone_is_refused_although_no_configuration_was_read():
    with pytest.raises(ConfigError, match="nearly everyone is a member"):
        compiled(SegmentRule.model_validate({"not": {"did": "a", "within": "7d"}}), TAXONOMY, None)


def test_the_same_leaf_twice_is_asked_once():
    rule = {
        "any": [{"did": "a", "within": "7d"}, {"all": [{"did": "a", "within": "7d"}, {"did": "b", "within": "7d"}]}]
    }

    assert compiled(SegmentRule.model_validate(rule), TAXONOMY, None).params["pair_entries"] == ["a", "b"]


PAGE = (ROOT / "docs" / "segments.md").read_text(encoding="utf-8")


def test_every_key_of_a_rule_is_documented():
    keys = {field.alias or name for name, field in SegmentRule.model_fields.items()} - set(LOOKED_UP)

    assert {key for key in keys if not re.search(rf"`[^`\n]*\b{key}\b[^`\n]*`", PAGE)} == set()


def test_rules_in_the_documentation_load(tmp_path):
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    shown = re.findall(r"`(\{ .*? \})`", PAGE)
    others = [each for each in shown if "…" not in each]

    assert len(load_config(write(tmp_path, MINIMAL + block), {}).segments) == 2
    assert len(others) > 8
    for each in others:
        SegmentRule.model_validate(tomllib.loads(f"rule = {each}")["rule"])
