"""The contract, for every destination of ours and for a fake one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
from export_contract import ExportContract
from memory_destination import MemoryDestination, MemorySettings
from numbered_destination import numbered
from segment_builder import Segment

from microconv import catalogue
from microconv.activation.destinations.base import Destination
from microconv.errors import DestinationError


class TestGoogleAdsFile(ExportContract):
    keys: ClassVar[dict[str, Any]] = {"kind": "file", "format": "google_ads"}


class TestCsvFile(ExportContract):
    keys: ClassVar[dict[str, Any]] = {"kind": "file", "format": "csv"}


class TestJsonLinesFile(ExportContract):
    keys: ClassVar[dict[str, Any]] = {"kind": "file", "format": "jsonl"}


class TestNumberedFiles(ExportContract):
    """A format with a limit of members a file, of which none is shipped."""

    @pytest.fixture
    def destination(self, tmp_path: Path) -> Destination:
        return numbered(tmp_path / "exports")


class TestMemory(ExportContract):
    @pytest.fixture
    def destination(self) -> Destination:
        return MemoryDestination(MemorySettings(name="there"))

    def held(self, destination: Destination, folder: Path) -> Mapping[str, object]:
        assert isinstance(destination, MemoryDestination)
        assert not list(folder.iterdir())
        return dict(destination.lists)

    @contextmanager
    def failing(self, destination: Destination) -> Iterator[None]:
        assert isinstance(destination, MemoryDestination)
        destination.is_down = True
        yield
        destination.is_down = False


HERE = Path(__file__).parent


@pytest.mark.parametrize("kind", catalogue.DESTINATIONS)
def test_every_kind_is_held_to_the_contract(kind: str) -> None:
    texts = [path.read_text(encoding="utf-8") for path in HERE.glob("test_*.py")]
    assert any("DestinationContract)" in text and f'"kind": "{kind}"' in text for text in texts)


@pytest.mark.parametrize("kind", catalogue.DESTINATIONS)
def test_every_kind_and_its_keys_are_documented(kind: str) -> None:
    docs = HERE.parents[1] / "docs"
    text = (docs / "destinations.md").read_text(encoding="utf-8")
    # A kind with a page of its own has its keys there.
    own = re.search(rf"The kind `{kind}` [^\n]*: \[([a-z0-9-]+\.md)\]\(\1\)", text)
    text += (docs / own[1]).read_text(encoding="utf-8") if own else ""
    for word in (kind, *catalogue.destination_settings(kind).model_fields):
        assert f"`{word}`" in text


@pytest.mark.parametrize("state", ["partial", "failed", "unknown"])
def test_batches_that_end_badly_are_an_error(segment: Segment, state: Any) -> None:
    memory = MemoryDestination(MemorySettings(name="there"))
    memory.ends_as = state
    with pytest.raises(DestinationError, match=rf"there took 3 of 3 members of ready-to-buy \({state}\)"):
        segment.with_users(3).export_to(memory)


def test_members_that_the_destination_did_not_take_are_an_error(segment: Segment) -> None:
    memory = MemoryDestination(MemorySettings(name="there"))
    memory.loses = 1
    with pytest.raises(DestinationError, match="there took 1 of 3 members of ready-to-buy") as caught:
        segment.with_users(3).export_to(memory)
    assert caught.value.exit_code == 4


def test_batches_that_may_still_change_are_no_error(segment: Segment) -> None:
    memory = MemoryDestination(MemorySettings(name="there"))
    memory.ends_as = "accepted"
    result = segment.with_users(3).export_to(memory)
    assert [receipt.is_final for receipt in result.receipts] == [False, False]
    assert result.sentence.startswith("ready-to-buy: 3 of 3 members sent to memory. Plan ")
