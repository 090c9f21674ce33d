"""What is known of a person's conversions goes with the person, once nothing more can be told of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from microconv.activation.conversions.conversion_tables import CONVERSIONS
from microconv.activation.destinations.base import Destination
from microconv.config.sections import Config
from microconv.engines.base import DeleteKeys, Engine
from microconv.queries import templates
from microconv.queries.templates import Query, Value
from microconv.taxonomy import Taxonomy

_ERASED, _KEYS = "erased_conversions", "erased_conversion_keys"


def erase_conversions(
    engine: Engine, config: Config, destination: Callable[[str], Destination], user_id: str
) -> Iterator[tuple[str, str, int, bool]]:
    """Forget the orders of a user.

    Yields for each conversion its name, its destination, how many orders there were, and whether all are forgotten.
    Where a destination takes an order back by its id alone, the order stays until that is done: the user counts as one
    who denied, so the next `microconv conversions send` does it.
    """
    if engine.version(CONVERSIONS.name) is None:
        return
    query = templates.query("activation/erased_conversions", params={"user_id": user_id})
    rows = engine.query(query).to_pylist()
    engine.materialise(query, _ERASED)
    actions = {(each.destination, each.name): each.action for each in config.conversions}
    told = Counter((row["destination"], row["conversion"]) for row in rows)
    for (at, conversion), found in told.items():
        action = actions.get((at, conversion))
        can_retract = action is not None and destination(at).conversions(action).rules.adjustments.by_order_id
        engine.materialise(_keys_query(at, conversion, settled_only=can_retract), _KEYS)
        engine.apply([DeleteKeys(CONVERSIONS, "conversion_key", _KEYS)])
        is_left = can_retract and any(
            not row["is_settled"] for row in rows if (row["destination"], row["conversion"]) == (at, conversion)
        )
        yield conversion, at, found, not is_left


def _keys_query(destination: str, conversion: str, *, settled_only: bool) -> Query:
    params: dict[str, Value] = {"destination": destination, "conversion": conversion, "settled_only": settled_only}
    return templates.query("activation/erased_conversion_keys", params=params)


def examples(_config: Config, _taxonomy: Taxonomy) -> Iterator[tuple[str | None, Query]]:
    """Yield the queries of what is forgotten of a person."""
    yield None, templates.query("activation/erased_conversions", params={"user_id": "user"})
    yield None, _keys_query("destination", "conversion", settled_only=True)
