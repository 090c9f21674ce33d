"""Simulated shops of a few small steps, in which something is planted or nothing is; made by seed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insight.simulated import DAY, HOUR, MINUTE, Done, Visits, staged, taxonomy
from microconv.config.load import load_config
from microconv.project import Project
from projects import write_config

ENTRIES = ("look", "save", "chat", "film", "guide", "share")
_FACTS = {each: {"kind": "secondary", "stage": "consideration"} for each in ENTRIES}
_FACTS["guide"]["kind"] = "milestone"
KNOWN = taxonomy(**_FACTS, buy={"kind": "macro", "stage": "decision"})
_TOML = 'name = "shop"\nversion = "1.0"\n' + "".join(
    f'[[micro_conversions]]\nid = "{entry.id}"\nevent = "{entry.id}"\nkind = "{entry.kind}"\nstage = "{entry.stage}"\n'
    for entry in KNOWN.entries
)
DAYS, ACTORS = 30, 8_000
Counts = dict[str, NDArray[np.int64]]
Times = dict[str, NDArray[np.float64]]


def shop(
    folder: Path,
    seed: int,
    rate: Callable[[Counts, Times], NDArray[np.float64]],
    *,
    activity: float = 0.0,
    actors: int = ACTORS,
) -> Project:
    """Open a shop: actors do small steps in their first 50 minutes, and some reach the goal in the week after.

    Args:
        folder: Where it is made.
        seed: Of all that is drawn.
        rate: The chance of the goal, by how often each entry was done, and when first (microseconds; infinite: never).
        activity: Spread of a trait (log-normal) that makes actors do more of all, the goal included.
        actors: How many there are.
    """
    rng = np.random.default_rng(seed)
    actor = np.arange(actors)
    begins = rng.uniform(0, 20 * DAY, actors).astype(np.int64)
    trait = np.exp(rng.normal(0, activity, actors))
    counts: Counts = {}
    first: Times = {}
    done: dict[str, Done] = {}
    for entry in ENTRIES:
        counts[entry] = times = np.minimum(rng.poisson(rng.gamma(1.0, 0.8, actors) * trait), 8)
        who = np.repeat(actor, times)
        at = rng.uniform(0, 50 * MINUTE, len(who))
        first[entry] = np.full(actors, np.inf)
        np.minimum.at(first[entry], who, at)
        done[entry] = Done(who, (begins[who] + at).astype(np.int64))
    # Some reach the goal at once, whatever they did: nothing that they did is known to lead to it.
    at_once = rng.random(actors) < 0.01
    reached = rng.random(actors) < np.minimum(rate(counts, first) * trait, 0.9)
    wait = np.where(at_once, rng.uniform(0, 50 * MINUTE, actors), rng.uniform(HOUR, 7 * DAY, actors))
    buys = at_once | reached
    done["buy"] = Done(actor[buys], (begins + wait).astype(np.int64)[buys])
    folder.mkdir(exist_ok=True)
    staged(folder / "microconv.duckdb", KNOWN, Visits(actor, begins), done, days=DAYS).close()
    (folder / "taxonomy.toml").write_text(_TOML)
    return Project(load_config(write_config(folder, extra='[taxonomy]\npreset = "none"\nfile = "taxonomy.toml"\n'), {}))


def nothing(counts: Counts, _: Times) -> NDArray[np.float64]:
    """No step changes anything."""
    return np.full(len(counts["look"]), 0.03)


def from_three_looks(counts: Counts, _: Times) -> NDArray[np.float64]:
    """From three looks on, the goal is reached four times as often."""
    return np.where(counts["look"] >= 3, 0.12, 0.03)


def each_look_helps(counts: Counts, _: Times) -> NDArray[np.float64]:
    """Each look adds half of the rate."""
    return 0.03 * (1 + 0.5 * counts["look"])


def chat_and_film(counts: Counts, _: Times) -> NDArray[np.float64]:
    """A chat and a film bring something each, and together three times as much as both would."""
    chat, film = counts["chat"] > 0, counts["film"] > 0
    return 0.015 * np.where(chat, 1.5, 1) * np.where(film, 1.3, 1) * np.where(chat & film, 3, 1)


def guide_before_share(_: Counts, first: Times) -> NDArray[np.float64]:
    """A guide and then a share: the goal is reached three times as often; the other way round, nothing changes."""
    return np.where((first["guide"] < first["share"]) & np.isfinite(first["share"]), 0.09, 0.03)


def three_together(counts: Counts, _: Times) -> NDArray[np.float64]:
    """A save, a chat and a guide, all three: the goal is reached five times as often."""
    return np.where((counts["save"] > 0) & (counts["chat"] > 0) & (counts["guide"] > 0), 0.15, 0.03)


def ask_of(project: Project, question: str, **fields: Any) -> Any:
    """Ask one question, and close the project."""
    with project:
        return project.ask(question, **fields)
