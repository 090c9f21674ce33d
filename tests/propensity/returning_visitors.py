"""Simulated shops whose actors come again and again: what they do tells who will buy, or nothing does; made by seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from insight.simulated import DAY, HOUR, MINUTE, Done, Visits, staged, taxonomy
from microconv.config.load import load_config
from microconv.project import Project
from projects import write_config

KNOWN = taxonomy(
    look={"kind": "secondary", "stage": "awareness"},
    save={"kind": "secondary", "stage": "consideration"},
    cart={"kind": "milestone", "stage": "decision"},
    buy={"kind": "macro", "stage": "decision"},
)
TOML = 'name = "shop"\nversion = "1.0"\n' + "".join(
    f'[[micro_conversions]]\nid = "{entry.id}"\nevent = "{entry.id}"\nkind = "{entry.kind}"\nstage = "{entry.stage}"\n'
    for entry in KNOWN.entries
)
DAYS, BEFORE = 63, 35
"""Days that are staged, and days before them on which actors began, too."""
STEPS = (("look", 1.2), ("save", 0.5), ("cart", 0.25))


def shop(
    folder: Path,
    seed: int,
    *,
    signal: float = 1.5,
    actors: int = 8_000,
    days: int = DAYS,
    rate: float = 0.13,
    without: tuple[str, ...] = (),
    busier: float = 1.0,
    extra: str = "",
) -> Project:
    """Open a shop.

    Args:
        folder: Where it is made.
        seed: Of all that is drawn.
        signal: How much a trait, by which actors do more small steps, moves the log odds of buying at a visit. At 0
            each actor buys at a constant rate, whatever was done and whenever it was.
        actors: How many there are.
        days: How many days are staged; who begins is spread over them.
        rate: The chance to buy at a visit of an actor with an average trait; without a signal that in a week.
        without: Entries that nobody does in the last week.
        busier: By how much more of all small steps is done in the last week.
        extra: More of the configuration.
    """
    rng = np.random.default_rng(seed)
    begins = rng.uniform(-BEFORE * DAY, days * DAY, actors)
    trait = rng.normal(0, 1, actors)
    visits = 1 + rng.poisson(4, actors)
    who = np.repeat(np.arange(actors), visits)
    first = np.r_[True, who[1:] != who[:-1]]
    gaps = np.where(first, 0, rng.exponential(5 * DAY, len(who)))
    starts = np.cumsum(gaps)
    starts = starts - starts[np.maximum.accumulate(np.where(first, np.arange(len(who)), 0))]
    at = (begins[who] + starts).astype(np.int64)
    numbers = np.arange(len(who)) - np.maximum.accumulate(np.where(first, np.arange(len(who)), 0)) + 1
    # What came before the first staged day is unknown, as in any export.
    who, at, numbers = who[at >= 0], at[at >= 0], numbers[at >= 0]
    is_late = at >= (days - 7) * DAY
    done = {}
    for name, mean in STEPS:
        more = np.where(is_late, 0.0 if name in without else busier, 1.0)
        times = np.minimum(rng.poisson(mean * np.exp(0.7 * trait[who] - 0.25) * more), 15)
        of = np.repeat(np.arange(len(who)), times)
        done[name] = Done(who[of], at[of] + rng.integers(1, 20 * MINUTE, len(of)))
    if signal:
        odds = np.log(rate / (1 - rate)) + signal * trait[who]
        buys = rng.random(len(who)) < 1 / (1 + np.exp(-odds))
        done["buy"] = Done(who[buys], at[buys] + 25 * MINUTE)
    else:
        wait = rng.exponential(7 * DAY / -np.log(1 - rate), actors)
        bought = (begins + HOUR + wait).astype(np.int64)
        done["buy"] = Done(np.arange(actors)[bought >= 0], bought[bought >= 0])
    device = rng.choice(["desktop", "mobile"], actors)[who]
    folder.mkdir(exist_ok=True)
    of_visits = Visits(
        who, at, {"device_category": device, "session_number": numbers, "user_id": [f"u{each}" for each in who]}
    )
    staged(folder / "microconv.duckdb", KNOWN, of_visits, done, days=days).close()
    return opened(folder, extra)


def opened(folder: Path, extra: str = "") -> Project:
    """Open a shop again, with another configuration."""
    (folder / "taxonomy.toml").write_text(TOML)
    config = write_config(folder, extra=f'[taxonomy]\npreset = "none"\nfile = "taxonomy.toml"\n{extra}')
    return Project(load_config(config, {}))
