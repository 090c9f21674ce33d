"""Every question of the catalogue, as one configuration asks it by itself and in rarer forms."""

from __future__ import annotations

import tomllib
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from microconv.catalogue import question_class, questions_of
from microconv.config.sections import Config
from microconv.engines.tables import Column
from microconv.question import Question
from microconv.taxonomy import load_taxonomy

ASKED = """
[[funnels]]
name = "purchase_journey"
steps = ["view_item", "add_to_cart", "begin_checkout", "purchase"]
window = "2d"
[[funnels]]
name = "visit"
steps = ["view_item", "add_to_cart"]
count = "sessions"
[[funnels]]
name = "product"
steps = ["view_item", { did = ["add_to_cart", "begin_checkout"], optional = true }, "purchase"]
entry = "open"
step_window = "1d"
hold = "page"
[[funnels]]
name = "straight"
steps = ["view_item", { did = "add_to_cart", where = [{ property = "page", exists = true }] }, "begin_checkout"]
order = "strict"
count = "attempts"
exclude = ["purchase"]
[[funnels]]
name = "anyhow"
steps = ["view_item", "add_to_cart", "purchase"]
order = "unordered"
[[segments]]
name = "cart_abandoners"
rule = { did = "add_to_cart", within = "14d", not_did = "purchase" }
[[guardrails]]
name = "bounce"
metric = "bounce_rate"
at_most = 0.6
[[guardrails]]
name = "removals"
entry = "remove_from_cart"
per = "add_to_cart"
at_most = 2
max_age = "3650d"
[[guardrails]]
name = "speed"
external = "page_speed"
at_most = 2.5
[[experiments]]
name = "reviews_first"
hypothesis = "If reviews come first, more people buy."
exposure = { event = "page_view" }
variant = "variant_id"
control = "old"
variants = { old = 0.5, new = 0.5 }
actors = 2
metrics = [
  { entry = "add_to_cart" },
  { entry = "purchase", kind = "revenue" },
  { entry = "view_item", kind = "count" },
  { entry = "add_to_cart", kind = "ratio", per = "view_item" },
]
guardrails = [{ entry = "view_item", margin = 0.1 }]
pre_period = "1d"
tests = "add_to_cart"
"""
"""Sections that ask: a funnel of every order, entry, window and count, a segment and an experiment."""

VARIANT = Column("text_variant_id", "STRING", "event parameter variant_id as text")
"""What the experiment looks at, which staged rows carry."""

CONFIG = Config.model_validate(
    {
        "project": {"timezone": "UTC"},
        "sources": [{"property": "p1", "path": "/events_*"}],
        "file": Path("/no.toml"),
        **tomllib.loads(ASKED),
    },
    context={"folder": Path("/")},
)
TAXONOMY = load_taxonomy(preset="ecommerce", file=None)

SECOND_DAY, THIRD_DAY = date(2024, 3, 2), date(2024, 3, 3)
FORMS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("changes", {"days": 1}),
    ("changes", {"since": SECOND_DAY, "until": THIRD_DAY}),
    ("coverage", {"since": SECOND_DAY}),
    ("funnel", {"name": "visit", "since": SECOND_DAY, "segment": "cart_abandoners"}),
    ("funnel_breakdown", {"name": "purchase_journey", "by": "page@first", "top": 3}),
    ("funnel_breakdown", {"name": "visit", "by": "actor.channel_group"}),
    ("funnel_trend", {"name": "visit", "grain": "week"}),
    ("funnel_comparison", {"name": "purchase_journey", "against": f"{SECOND_DAY}..{THIRD_DAY}"}),
    ("path_sequences", {"nodes": "page", "count": "actors"}),
    ("path_links", {"from_": "view_item", "without": ["scroll"], "window": "2d"}),
    ("experiment_plan", {"goal": "add_to_cart", "lift": 0.2, "exposure": "view_item", "horizon": "anytime"}),
    ("experiment_list", {"search": "reviews buy"}),
    ("discover", {"goal": "add_to_cart"}),
    (
        "attribution",
        {
            "touchpoint": "micro_conversion",
            "goal": "add_to_cart",
            "count": "sessions",
            "reset_after_conversion": True,
            "windows": ["30m", "1d"],
            "path": "exposure",
            "markov_order": 2,
        },
    ),
    ("attribution", {"touchpoint": "source_medium", "since": SECOND_DAY, "models": ["linear"], "windows": ["1d"]}),
    ("channels", {"since": SECOND_DAY, "until": SECOND_DAY}),
    ("hesitation", {"since": SECOND_DAY}),
    ("guardrails", {"guardrail": "bounce", "as_of": datetime(2024, 3, 4, tzinfo=UTC)}),
    ("lift", {"goal": "next_stage", "until": THIRD_DAY}),
    ("lift", {"by": "hour", "goal": "add_to_cart"}),
    ("lift", {"tier": "observed", "correction": "bh"}),
    ("segment", {"name": "cart_abandoners", "as_of": datetime(2024, 3, 2, 12, tzinfo=UTC)}),
    ("lifetime_value", {"by": "first_channel", "horizon": "30d"}),
    ("lifetime_value", {"by": "first_micro_conversion", "goal": "add_to_cart", "until": SECOND_DAY}),
    ("retention_cohorts", {"grain": "month", "since": SECOND_DAY}),
    ("post_sale", {"goal": "view_item", "since": SECOND_DAY}),
    ("prioritize", {"goal": "purchase"}),
    ("suggest_segments", {"within": "30d", "goal": "add_to_cart"}),
    ("what_if", {"changes": "add_to_cart +5%, view_item -10%", "until": SECOND_DAY}),
    ("momentum", {"goal": "add_to_cart", "segment": "cart_abandoners"}),
    ("momentum", {"since": SECOND_DAY, "until": SECOND_DAY}),
    ("momentum_weeks", {"weeks": 2}),
    ("wavering", {"goal": "add_to_cart", "segment": "cart_abandoners", "window": "2d", "landmark": "1h"}),
    ("wavering", {"since": SECOND_DAY, "until": SECOND_DAY}),
    ("momentum_score", {"weeks": 2, "segment": "cart_abandoners"}),
    ("stage_times", {"by": "channel_group", "goal": "add_to_cart", "segment": "cart_abandoners"}),
    ("leading", {"goal": "add_to_cart", "lags": 3, "since": SECOND_DAY}),
    ("stage_times", {"by": "new_or_returning", "since": SECOND_DAY, "until": SECOND_DAY}),
    ("thresholds", {"measure": "view_item", "landmarks": ["1h"], "window": "1h", "goal": "add_to_cart"}),
    ("propensity", {"goal": "add_to_cart"}),
    ("thresholds", {"measure": "distinct", "since": SECOND_DAY, "until": THIRD_DAY}),
    ("content", {"within": "1h", "goal": "add_to_cart", "top": 3}),
    ("content", {"sequences": True, "within": "1h"}),
    ("combinations", {"landmarks": ["1h"], "window": "1h", "goal": "add_to_cart"}),
    ("combinations", {"size": 3, "ordered": True, "since": SECOND_DAY, "until": THIRD_DAY, "top": 5}),
)
"""Further forms: what people give on the command line or from Python."""


def _all() -> dict[str, Question]:
    named = [
        *questions_of(CONFIG, TAXONOMY),
        *((name, question_class(name).asked(CONFIG, given)) for name, given in FORMS),
    ]
    numbers: Counter[str] = Counter()
    found = {}
    for name, question in named:
        numbers[name] += 1
        found[f"{name}-{numbers[name]}"] = question
    return found


EVERY_QUESTION = _all()
"""All of them, by the name in the catalogue and a number."""
