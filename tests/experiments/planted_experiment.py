"""A made-up export with a planted experiment: a variant that brings more carts, and as many purchases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

import ga4
from microconv.config.load import load_config
from microconv.project import Project
from projects import write_config

FIRST = date(2024, 3, 1)
DAYS = 14
EXPERIMENT = """
[[experiments]]
name = "reviews_first"
hypothesis = "If reviews come first, more people add to the cart, because they trust the product."
exposure = { event = "experiment_view", where = [{ property = "experiment_id", equals = "reviews" }] }
variant = "variant_id"
control = "old"
variants = { old = 0.5, reviews = 0.5 }
until = 2024-03-14
metrics = [
  { entry = "add_to_cart" },
  { entry = "purchase", kind = "revenue" },
  { entry = "add_to_cart", kind = "ratio", per = "view_item" },
]
guardrails = [{ entry = "view_item", margin = 0.05 }]
steps = ["view_item", "add_to_cart", "purchase"]
tests = "add_to_cart"
"""


@dataclass(frozen=True)
class _Visit:
    events: list[dict[str, Any]]
    start: int
    client: str
    device: str
    country: str

    def add(self, seconds: int, name: str, **more: Any) -> None:
        """Add an event so many seconds after the start."""
        self.events.append(
            ga4.event(
                self.start + seconds * 1_000_000,
                name,
                client=self.client,
                session=1,
                device={"category": self.device, "language": "en"},
                geo={"country": self.country},
                **more,
            )
        )


def write_exports(
    folder: Path,
    *,
    actors: int = 4_000,
    carts: Mapping[str, float] | None = None,
    lost_on_mobile: float = 0.0,
    in_two: int = 0,
    seed: int = 7,
) -> None:
    """Write fourteen days of it.

    Args:
        folder: Where `exports` is made.
        actors: How many are exposed.
        carts: The share of each variant that adds to the cart.
        lost_on_mobile: The share of actors of the variant on mobile whose exposure is lost.
        in_two: How many actors see both.
        seed: Of the drawing.
    """
    rng = np.random.default_rng(seed)
    rates = carts or {"old": 0.20, "reviews": 0.26}
    days: dict[date, list[dict[str, Any]]] = {FIRST + timedelta(days=number): [] for number in range(DAYS)}
    for actor in range(actors):
        variant = ("old", "reviews")[int(rng.random() < 0.5)]
        device = "mobile" if rng.random() < 0.6 else "desktop"
        day = FIRST + timedelta(days=int(rng.integers(DAYS)))
        start = ga4.microseconds(f"{day} 08:00:00") + int(rng.integers(36_000)) * 1_000_000

        visit = _Visit(days[day], start, f"{actor}.1", device, ("Germany", "France")[actor % 2])
        add = visit.add
        add(0, "session_start")
        for seen in (variant, *(("old", "reviews") if actor < in_two else ())):
            is_lost = variant == "reviews" and device == "mobile" and rng.random() < lost_on_mobile
            if not is_lost:
                add(1, "experiment_view", params={"experiment_id": "reviews", "variant_id": seen})
        add(1, "experiment_view", params={"experiment_id": "another", "variant_id": "x"})
        for item in range(int(rng.integers(1, 4))):
            add(10 + item, "view_item")
        if rng.random() < rates[variant]:
            add(60, "add_to_cart")
            # As many purchases in all: those whom the variant adds buy less often.
            if rng.random() < 0.3 * rates["old"] / rates[variant]:
                value = round(float(rng.lognormal(3.5, 1.0)), 2)
                add(
                    300,
                    "purchase",
                    params={"currency": "USD", "value": value},
                    ecommerce={"purchase_revenue": value, "transaction_id": f"t{actor}"},
                )
    for day, events in days.items():
        ga4.write_parquet(folder / "exports" / f"{ga4.shard_name(day)}.parquet", events)


def planted_project(folder: Path, sections: str = EXPERIMENT, **planted: Any) -> Project:
    """Write the exports, stage them, and return the project."""
    write_exports(folder, **planted)
    project = Project(load_config(write_config(folder, extra=sections), {}))
    project.sync()
    return project


def again(project: Project, folder: Path, sections: str) -> Project:
    """The same staged days, read with another experiment."""
    project.close()
    config = write_config(folder, exports=str(project.config.sources[0].path), extra=sections)
    return Project(load_config(config, {"MICROCONV_ENGINE__PATH": str(project.config.engine.path)}))
