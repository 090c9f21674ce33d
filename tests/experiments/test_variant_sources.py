"""Variants named by a user property, and by a table of another system: from exports to the reading."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

import ga4
from external_files import write_rows
from microconv.config.load import load_config
from microconv.experiments.experiment_reading import ExperimentResult
from microconv.project import Project
from projects import write_config

MEASURED = """\
horizon = "anytime"
metrics = [{ entry = "add_to_cart" }, { entry = "view_item", kind = "count" }]
steps = ["view_item", "add_to_cart"]
"""
SECTIONS = f"""
[[external_events]]
name = "tool"
path = "tool/*.csv"

[[experiments]]
name = "shipping"
hypothesis = "If shipping is free, more people buy."
variant = {{ user_property = "exp_shipping" }}
control = "paid"
variants = {{ paid = 0.5, free = 0.5 }}
{MEASURED}
[[experiments]]
name = "shipping_of_viewers"
hypothesis = "The same, of those who look at an item."
exposure = {{ event = "view_item" }}
variant = {{ user_property = "exp_shipping" }}
control = "paid"
variants = {{ paid = 0.5, free = 0.5 }}
{MEASURED}
[[experiments]]
name = "newsletter"
hypothesis = "If the subject names the product, more people come back."
exposure = {{ external = "newsletter_sent" }}
variant = "subject"
control = "plain"
variants = {{ plain = 0.5, product = 0.5 }}
{MEASURED}"""
_KEPT = [("set_timestamp_micros", pa.int64())]
_VALUE = pa.struct([*ga4.SCHEMA.field("event_params").type.value_type.field("value").type, *_KEPT])
SCHEMA = ga4.SCHEMA.append(pa.field("user_properties", pa.list_(pa.struct([("key", pa.string()), ("value", _VALUE)]))))
START = datetime(2024, 3, 1, 8, tzinfo=UTC)


@dataclass
class Plant:
    """What was exported and what the tool wrote, kept as it was made."""

    events: list[dict[str, Any]] = field(default_factory=list)
    rows: list[dict[str, str]] = field(default_factory=list)

    def did(self, minute: int, name: str, client: str, user: str | None = None, variant: str | None = None) -> None:
        """Add an event, so many minutes after the start, of a client that is always this user's."""
        at = ga4.microseconds(f"{START + timedelta(minutes=minute):%Y-%m-%d %H:%M:%S}") + len(self.events)
        value = {"string_value": variant, "set_timestamp_micros": at}
        more = {} if variant is None else {"user_properties": [{"key": "exp_shipping", "value": value}]}
        self.events.append(ga4.event(at, name, client=client, session=1, user_id=user, **more))

    def sent(
        self, minute: int, variant: str, *, client: str = "", user: str = "", name: str = "newsletter_sent"
    ) -> None:
        """Add a row of the tool."""
        at = f"{START + timedelta(minutes=minute):%Y-%m-%dT%H:%M:%SZ}"
        who = {"user_id": user, "user_pseudo_id": client, "stream_id": "1" if client else ""}
        self.rows.append({**who, "occurred_at": at, "name": name, "subject": variant})


def made() -> Plant:
    """Forty clients of all kinds that come in both experiments, and what is special of some of them."""
    plant = Plant()
    for number in range(40):
        client, user = f"{number}.1", f"u{number}" if number % 3 == 0 else None
        shipping, subject = ("paid", "free")[number % 2], ("plain", "product")[number // 2 % 2]
        plant.did(number, "view_item", client, user)  # before any exposure: it does not count
        plant.did(number + 60, "page_view", client, user, shipping)
        if number % 4:
            plant.did(number + 120, "view_item", client, user, shipping)
        if number % 5 < 2:
            plant.did(number + 180, "add_to_cart", client, user, shipping)
        # Some rows name the user, some the client, also that of a user.
        by_user = user is not None and number % 2 == 0
        plant.sent(number + 100, subject, **({"user": user or ""} if by_user else {"client": client}))
    # One user on two clients: the variant is seen on one, and what follows happens on the other.
    plant.did(62, "page_view", "50.1", "u50", "free")
    plant.did(130, "view_item", "51.1", "u50")
    plant.did(190, "add_to_cart", "51.1", "u50")
    plant.sent(90, "product", client="50.1")
    # The exposure itself is what is measured.
    plant.did(140, "add_to_cart", "52.1", None, "free")
    # Two variants, and one that the experiment does not name.
    for number, variant in enumerate(("free", "paid", "free")):
        plant.did(150 + number, "view_item", "53.1", None, variant)
        plant.sent(150 + number, ("plain", "product")[number % 2], client="53.1")
    plant.did(150, "view_item", "54.1", None, "express")
    plant.sent(150, "emoji", client="54.1")
    # A user whom the export does not know, a row of another name, and one after the end of the data.
    plant.sent(120, "plain", user="elsewhere")
    plant.sent(120, "product", client="55.1", name="newsletter_opened")
    plant.did(125, "add_to_cart", "55.1")
    plant.sent(1_000, "product", client="55.1")
    return plant


@pytest.fixture(scope="module")
def plant() -> Plant:
    return made()


@pytest.fixture(scope="module")
def project(plant: Plant, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("variants")
    ga4.write_parquet(folder / "exports" / f"{ga4.shard_name(START.date())}.parquet", plant.events, SCHEMA)
    write_rows(folder / "tool" / "sent.csv", plant.rows, tuple(plant.rows[0]))
    with Project(load_config(write_config(folder, extra=SECTIONS), {})) as found:
        found.sync()
        yield found


def actors_of(plant: Plant) -> dict[str, str]:
    """Return whose each client is."""
    return {each["user_pseudo_id"]: each["user_id"] or each["user_pseudo_id"] for each in plant.events}


def check(
    found: ExperimentResult, plant: Plant, seen: Iterable[tuple[int, str, str]], variants: tuple[str, str]
) -> Mapping[str, int]:
    """Hold a reading against what Python counts of these exposures (when, who, variant); return the sizes."""
    exposed: dict[str, tuple[int, set[str]]] = {}
    for at, actor, variant in sorted(seen):
        exposed.setdefault(actor, (at, set()))[1].add(variant)
    assert found.split.in_two == sum(len(named) > 1 for _, named in exposed.values())
    of_variant: dict[str, dict[str, int]] = {each: {} for each in variants}
    others: dict[str, int] = {}
    for actor, (at, named) in exposed.items():
        (variant, *more) = named
        if not more and variant in of_variant:
            of_variant[variant][actor] = at
        elif not more:
            others[variant] = others.get(variant, 0) + 1
    assert dict(found.split.of_others) == others
    owner = actors_of(plant)
    for variant, actors in of_variant.items():
        after: dict[str, list[tuple[int, str]]] = {each: [] for each in actors}
        for each in plant.events:
            actor = owner[each["user_pseudo_id"]]
            if actor in actors and each["event_timestamp"] >= actors[actor]:
                after[actor].append((each["event_timestamp"], each["event_name"]))
        carts = [actor for actor, acts in after.items() if any(name == "add_to_cart" for _, name in acts)]
        first_views = {
            actor: min((at for at, name in acts if name == "view_item"), default=None) for actor, acts in after.items()
        }
        views = sum(name == "view_item" for acts in after.values() for _, name in acts)
        in_order = [
            actor
            for actor, at in first_views.items()
            if at is not None and any(name == "add_to_cart" and when > at for when, name in after[actor])
        ]
        rows = {each.metric: each for each in found.metrics if each.variant == variant}
        assert (rows["add_to_cart"].actors, rows["add_to_cart"].doers) == (len(actors), len(carts))
        assert rows["view_item, times"].value == pytest.approx(views / len(actors))
        assert {each.step: each.actors for each in found.steps if each.variant == variant} == {
            "exposed": len(actors),
            "view_item": sum(at is not None for at in first_views.values()),
            "add_to_cart": len(in_order),
        }
    sizes = {each.variant: each.actors for each in found.split.sizes}
    assert sizes == {variant: len(actors) for variant, actors in of_variant.items()}
    return sizes


def property_of(event: Mapping[str, Any]) -> str | None:
    return next((each["value"]["string_value"] for each in event.get("user_properties", ())), None)


@pytest.mark.parametrize(("name", "event"), [("shipping", None), ("shipping_of_viewers", "view_item")])
def test_variant_of_a_user_property_is_read_as_the_events_say(
    name: str, event: str | None, project: Project, plant: Plant
):
    owner = actors_of(plant)
    seen = [
        (each["event_timestamp"], owner[each["user_pseudo_id"]], variant)
        for each in plant.events
        if (variant := property_of(each)) is not None and event in (None, each["event_name"])
    ]

    found = project.read_experiment(name)

    sizes = check(found, plant, seen, ("paid", "free"))
    assert min(sizes.values()) >= 10  # the plant is not empty
    assert found.split.in_two == 1
    if event is None:
        steps = {each.step: each.actors for each in found.steps if each.variant == "free"}
        assert steps["exposed"] == 22  # 20 clients, the user on two of them, and who began with the cart


def test_variant_of_a_table_of_another_system_is_read_as_its_rows_say(project: Project, plant: Plant):
    owner = actors_of(plant)
    end = max(each["event_timestamp"] for each in plant.events)
    seen = [
        (at, row["user_id"] or owner.get(row["user_pseudo_id"], row["user_pseudo_id"]), row["subject"])
        for row in plant.rows
        if row["name"] == "newsletter_sent"
        and (at := int(datetime.fromisoformat(row["occurred_at"]).timestamp() * 1_000_000)) <= end
    ]

    found = project.read_experiment("newsletter")

    sizes = check(found, plant, seen, ("plain", "product"))
    assert sizes == {"plain": 21, "product": 21}  # 20 each, whom the export does not know, and the user on two clients
    assert found.split.of_others == (("emoji", 1),)
    assert found.split.in_two == 1
