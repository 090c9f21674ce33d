"""The same questions asked of other tools: `python -m benchmarks.others NAME ARGUMENTS`, in their own environment.

Each step reads the narrow Parquet files of `benchmarks.synthetic`, answers twice and is measured the second time.
Nothing of microconv is installed there, and each step imports its own tool alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.measure import Meter, Reading

DAY_US = 86_400_000_000


def chdb_funnel(folder: str, steps: Sequence[str], window_days: int, threads: int, mode: str = "") -> Reading:
    """Count the actors that reached each step, by `windowFunnel`."""
    from chdb import session

    clickhouse = session.Session()
    clickhouse.query(f"SET max_threads = {threads}")
    conditions = ", ".join(f"micro_conversion = '{step}'" for step in steps)
    among = ", ".join(f"'{step}'" for step in sorted(set(steps)))
    options = f", '{mode}'" if mode else ""
    query = f"""
        SELECT level, count()
        FROM (
          SELECT windowFunnel({window_days * DAY_US}{options})(toUInt64(event_us), {conditions}) AS level
          FROM file('{folder}/occurrences.parquet', Parquet)
          WHERE micro_conversion IN ({among})
          GROUP BY actor_key
        )
        GROUP BY level
        FORMAT JSONCompact
    """
    meter = Meter()
    clickhouse.query(query)
    with meter.running():
        levels = json.loads(str(clickhouse.query(query)))["data"]
    reached = [sum(int(count) for level, count in levels if level >= step) for step in range(1, len(steps) + 1)]
    return meter.reading(reached=reached)


def polars_rules(folder: str, windows_days: Sequence[int], half_life_days: int, threads: int) -> Reading:
    """Credit channels for purchases by six rules and several windows: pairs once, then totals of each conversion."""
    import polars as pl

    if pl.thread_pool_size() != threads:
        raise SystemExit(f"Set POLARS_MAX_THREADS to {threads}.")
    occurrences, touches = f"{folder}/occurrences.parquet", f"{folder}/touches.parquet"
    meter = Meter()
    _credits(pl, occurrences, touches, windows_days, half_life_days)
    with meter.running():
        found = _credits(pl, occurrences, touches, windows_days, half_life_days)
    return meter.reading(credits=found.to_dicts())


def _credits(pl: Any, occurrences: str, touches: str, windows_days: Sequence[int], half_life_days: int) -> Any:
    conversions = (
        pl.scan_parquet(occurrences)
        .filter(pl.col("micro_conversion") == "purchase")
        .sort("event_us")
        .unique("transaction_id", keep="first")
        .select("actor_key", "event_us", "value")
        .with_row_index("conversion")
    )
    pairs = (
        pl.scan_parquet(touches)
        .join(conversions, on="actor_key")
        .with_columns(age=pl.col("event_us") - pl.col("touch_us"))
        .filter(pl.col("age").is_between(0, max(windows_days) * DAY_US))
        .sort("touch_us", "session_key")
        .with_row_index("place")
        .select(
            *("conversion", "touchpoint", "value", "age", "place"),
            direct=pl.col("touchpoint") == "Direct",
            weight=0.5 ** (pl.col("age") / (half_life_days * DAY_US)),
        )
        .collect()
    )
    place, touches_in_all = pl.col("place"), pl.col("touches_in_all")
    is_first, is_last = place == pl.col("first"), place == pl.col("last")
    position = (
        pl.when(touches_in_all == 1)
        .then(1.0)
        .when(touches_in_all == 2)
        .then(0.5)
        .when(is_first | is_last)
        .then(0.4)
        .otherwise(0.2 / (touches_in_all - 2))
    )
    models = {
        "first": is_first,
        "last": is_last,
        "last_non_direct": place == pl.coalesce("last_other", "last"),
        "linear": 1 / touches_in_all,
        "time_decay": pl.col("weight") / pl.col("all_weight"),
        "position": position,
    }
    sums = [
        amount.sum().alias(f"{model}_{what}")
        for model, share in models.items()
        for what, amount in (("credit", share.cast(pl.Float64)), ("value", share * pl.col("value")))
    ]
    by_window = []
    for days in windows_days:
        inside = pairs.lazy().filter(pl.col("age") <= days * DAY_US)
        totals = inside.group_by("conversion").agg(
            touches_in_all=pl.len(),
            first=place.min(),
            last=place.max(),
            last_other=place.filter(~pl.col("direct")).max(),
            all_weight=pl.col("weight").sum(),
        )
        by_window.append(inside.join(totals, on="conversion").group_by("touchpoint").agg(sums))
    found = pl.collect_all(by_window)
    return pl.concat(
        frame.select(
            model=pl.lit(model),
            window=pl.lit(f"{days}d"),
            touchpoint="touchpoint",
            credit=f"{model}_credit",
            value=f"{model}_value",
        )
        for days, frame in zip(windows_days, found, strict=True)
        for model in models
    )


def channel_attribution(folder: str) -> Reading:
    """Credit channels by ChannelAttribution's Markov chain of order 1, which it simulates.

    `removal_effects` are not its own but those of its transition matrix, solved.
    """
    import pandas as pd
    from ChannelAttribution import markov_model

    journeys = pd.read_parquet(f"{folder}/journeys.parquet")
    journeys["value"] = journeys["value_micros"] / 1e6
    columns = {"var_path": "named", "var_conv": "conversions", "var_value": "value", "var_null": "others"}
    meter = Meter()
    for metered in (Meter(), meter):
        with metered.running():
            found = markov_model(journeys, **columns, order=1, out_more=True, verbose=False, flg_pro=False)
    credit = found["result"].set_index("channel_name")["total_conversions"]
    return meter.reading(
        conversions=credit.to_dict(), removal_effects=_removal_effects(found["transition_matrix"], list(credit.index))
    )


def _removal_effects(transitions: Any, channels: Sequence[str]) -> dict[str, float]:
    """Solve a chain with and without each channel; the states of channels are their numbers in it, from 1."""
    import numpy as np

    names = ["(start)", *(str(number + 1) for number in range(len(channels))), "(conversion)", "(null)"]
    chain = np.zeros((len(names), len(names)))
    place = {name: number for number, name in enumerate(names)}
    for row in transitions.itertuples():
        chain[place[str(row.channel_from)], place[str(row.channel_to)]] = row.transition_probability

    def converts(without: int | None = None) -> float:
        between = chain[:-2, :-2].copy()
        if without is not None:
            between[:, without] = 0
        return float(np.linalg.solve(np.eye(len(between)) - between, chain[:-2, -2])[0])

    return {channel: 1 - converts(number) / converts() for number, channel in enumerate(channels, start=1)}


def mam(folder: str) -> Reading:
    """Credit channels by marketing-attribution-models: Markov of order 1, and Shapley with sets of any size."""
    import polars as pl
    from mam import MAM

    paths = pl.read_parquet(f"{folder}/journeys.parquet")
    journeys = pl.concat(
        paths.filter(pl.col(count) > 0).select("named", occurrences=count, converted=pl.lit(count == "conversions"))
        for count in ("conversions", "others")
    )
    meter = Meter()
    for metered in (Meter(), meter):
        with metered.running():
            with metered.running("reading paths"):
                model = MAM(
                    journeys,
                    "grouped_journey",
                    channels_colname="named",
                    journey_with_conv_colname="converted",
                    occurrences_colname="occurrences",
                )
            with metered.running("markov"):
                markov = model.run_markov(transition_to_same_state=True)
            with metered.running("shapley"):
                shapley = model.run_shapley(max_size=None)
    return meter.reading(
        removal_effects=markov.metadata["removal_effect"]["removal_effect"].to_dict(),
        shapley=dict(shapley.to_polars().rows()),
    )


STEPS = {step.__name__: step for step in (chdb_funnel, polars_rules, channel_attribution, mam)}


def main(name: str, arguments: str) -> None:
    print(json.dumps(asdict(STEPS[name](**json.loads(arguments)))))


if __name__ == "__main__":
    main(*sys.argv[1:])
