"""From nothing to a push, and a denial after it, at every kind of destination of ours, by the command."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pushed_shop import Shop, emails
from webhook_server import SECRET, SLOWEST, AudienceService, serving

from microconv.engines.duckdb import DuckDBEngine
from microconv.queries.templates import Query

KINDS = """
[[destinations]]
name = "warehouse"
kind = "table"

[[destinations]]
name = "hook"
kind = "webhook"
url = "{address}"
secret = {{ file = "hook.secret" }}
"""


@pytest.fixture
def service() -> AudienceService:
    return AudienceService()


@pytest.fixture
def shop(tmp_path: Path, service: AudienceService) -> Iterator[Shop]:
    with serving(service) as address:
        shop = Shop(tmp_path / "shop", of_push=KINDS.format(address=address))
        secret = shop.folder / "hook.secret"
        secret.write_text(f"{SECRET}\n")
        secret.chmod(0o600)
        yield shop


def in_files(shop: Shop, _: AudienceService) -> set[str]:
    found: set[str] = set()
    for folder in sorted((shop.folder / "exports" / "carts.csv.pushes").iterdir()):
        manifest = json.loads((folder / "manifest.json").read_text())
        # What the manifest says of the origin is what the plan says.
        assert {"plan", "segment", "destination", "normalisation"} <= manifest.keys()
        for file in manifest["files"]:
            values = {line.split(",")[0] for line in (folder / file["name"]).read_text().splitlines()[1:]}
            found = found | values if file["operation"] == "add" else found - values
    return found


def in_table(shop: Shop, _: AudienceService) -> set[str]:
    with DuckDBEngine(next(shop.folder.glob("*.duckdb")), threads=1) as engine:
        rows = engine.query(Query("rows", "SELECT identifier FROM mc_audience_warehouse", {})).to_pylist()
    return {row["identifier"] for row in rows}


def at_service(_: Shop, service: AudienceService) -> set[str]:
    return {each.value for each in service.listed}


@pytest.mark.parametrize(("name", "held"), [("files", in_files), ("warehouse", in_table), ("hook", at_service)])
def test_push_and_a_denial_after_it(
    shop: Shop, service: AudienceService, name: str, held: Callable[[Shop, AudienceService], set[str]]
) -> None:
    done = shop.run("push", "carts", "--to", name, "--dry-run")
    assert done.code == 0, done.stderr
    assert not service.requests
    done = shop.run("push", "carts", "--to", name)
    assert done.code == 0, done.stderr
    for _ in range(SLOWEST + 1):
        service.tick()
    assert held(shop, service) == emails(1, 2, 3, 4)
    shop.agree([2, 3, 4], denied=[1])
    # A webhook that accepted is asked first; files and tables have answered at once.
    done = shop.run("push", "carts", "--to", name)
    assert done.code == 0, done.stderr
    for _ in range(SLOWEST + 1):
        service.tick()
    assert held(shop, service) == emails(2, 3, 4)
    # All is known: nothing is said twice.
    requests = len(service.requests)
    done = shop.run("push", "carts", "--to", name)
    assert done.code == 0, done.stderr
    assert len(service.requests) == requests
    assert held(shop, service) == emails(2, 3, 4)


def test_missing_secret_stops_before_anything_is_sent(shop: Shop, service: AudienceService) -> None:
    (shop.folder / "hook.secret").unlink()
    done = shop.run("push", "carts", "--to", "hook")
    assert done.code == 2
    assert "The secret of the destination hook is missing" in done.stderr
    assert not service.requests
