"""The contract of a push, for every kind of destination of ours; it is shipped, so it is tried on broken ones, too."""

from __future__ import annotations

import csv
import inspect
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pyarrow.parquet as pq
import pytest
from webhook_server import SECRET, SLOWEST, AudienceService, serving

from loopback import Told
from microconv import catalogue
from microconv.activation.audience.normalise import sha256_hex
from microconv.activation.destinations.audience_formats import FIELDS, AudienceFormat
from microconv.activation.destinations.base import Destination
from microconv.activation.destinations.engine_table import (
    EngineTableDestination,
    EngineTableList,
    EngineTableSettings,
)
from microconv.activation.destinations.file import FileDestination
from microconv.activation.push.audience_list import Answer, Identifier, Operation
from microconv.activation.push.push_ledger import PushLedger
from microconv.config.destination_settings import DestinationConfig
from microconv.engines.duckdb import IN_MEMORY, DuckDBEngine
from microconv.queries.templates import Query
from microconv.testing import DestinationContract

HERE = Path(__file__).parent


class FilesOfAPush(DestinationContract):
    """Whoever uploads the files of one push after another has the list."""

    schedules = (3, 0)

    def listed(self, destination: Destination, segment: str) -> set[Identifier]:
        assert isinstance(destination, FileDestination)
        found: set[Identifier] = set()
        root = destination.settings.path / f"{segment}.{destination.accepts.name}.pushes"
        folders = sorted(path for path in root.iterdir() if path.name[0] != ".") if root.is_dir() else []
        for folder in folders:
            files = json.loads((folder / "manifest.json").read_text())["files"]
            assert {path.name for path in folder.iterdir()} == {"manifest.json", *(each["name"] for each in files)}
            # Removals come first, so that who moves from one list to another is never on none.
            for file in sorted(files, key=lambda each: each["operation"], reverse=True):
                identifiers = list(identifiers_in(folder / file["name"], destination.audience_format))
                assert len(identifiers) == file["rows"]
                found = found.union(identifiers) if file["operation"] == "add" else found.difference(identifiers)
        return found


def identifiers_in(path: Path, audience_format: AudienceFormat) -> Iterator[Identifier]:
    """Read a file as its platform does: by its headers, or by its name where it has none."""
    kinds = {header: kind for header, field in audience_format.columns for kind, of in FIELDS.items() if of == field}
    if path.suffix == ".parquet":
        rows = pq.read_table(path).to_pylist()
    elif path.suffix == ".jsonl":
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    elif audience_format.has_header:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    else:
        kind = next((part for part in path.name.split(".") if part in FIELDS), next(iter(kinds.values())))
        yield from (Identifier(kind, line) for line in path.read_text(encoding="utf-8").splitlines())
        return
    yield from (
        Identifier(kinds[header], value) for row in rows for header, value in row.items() if value and header in kinds
    )


class TestGoogleAdsFiles(FilesOfAPush):
    keys: ClassVar[dict[str, Any]] = {"kind": "file", "format": "google_ads"}
    vectors = (
        ("email", "alexz@example.com", "509e933019bb285a134a9334b8bb679dff79d0ce023d529af4bd744d47b4fd8a"),
        ("phone", "+1 800 555 0100", "fb4f73a6ec5fdb7077d564cdd22c3554b43ce49168550c3b12c547b78c517b30"),
    )


class TestJsonLinesFiles(FilesOfAPush):
    keys: ClassVar[dict[str, Any]] = {"kind": "file", "format": "jsonl"}
    schedules = (1, 10)


class TestParquetFiles(FilesOfAPush):
    keys: ClassVar[dict[str, Any]] = {"kind": "file", "format": "parquet"}
    schedules = (1, 20)


class TestTikTokFiles(FilesOfAPush):
    keys: ClassVar[dict[str, Any]] = {"kind": "file", "format": "tiktok"}
    schedules = (1, 30)
    vectors = (
        # The page of TikTok gives this digest.
        ("email", " JaneDoe@gmail.com", "d6117306485ed0e50afab3ac871e98f81699151f30281527d63ff5f233656c69"),
        ("phone", "+1 (657) 777-0000", sha256_hex("16577770000")),
    )


class TestMicrosoftFiles(FilesOfAPush):
    keys: ClassVar[dict[str, Any]] = {"kind": "file", "format": "microsoft_ads"}
    schedules = (1, 40)
    vectors = (("email", " Anna@Shop.example", sha256_hex("anna@shop.example")),)


class TestPinterestFiles(FilesOfAPush):
    keys: ClassVar[dict[str, Any]] = {"kind": "file", "format": "pinterest"}
    schedules = (1, 50)
    vectors = (("email", " Anna@Shop.example", sha256_hex("anna@shop.example")),)


class TestLinkedInFiles(FilesOfAPush):
    keys: ClassVar[dict[str, Any]] = {"kind": "file", "format": "linkedin"}
    schedules = (1, 60)
    vectors = (("email", " Anna@Shop.example", sha256_hex("anna@shop.example")),)


class TestSnapFiles(FilesOfAPush):
    keys: ClassVar[dict[str, Any]] = {"kind": "file", "format": "snap"}
    schedules = (1, 70)
    vectors = (
        ("email", " Anna@Shop.example", sha256_hex("anna@shop.example")),
        ("phone", "+49 170 1234567", sha256_hex("491701234567")),
    )


class TestGa4Files(FilesOfAPush):
    keys: ClassVar[dict[str, Any]] = {"kind": "file", "format": "ga4_users"}
    schedules = (1, 80)
    vectors = (("user_id", "u 7", "u 7"),)


@dataclass
class Services:
    """A service for each segment, behind one address."""

    became: dict[str, dict[str, Any]] = field(default_factory=dict)
    of: dict[str, AudienceService] = field(default_factory=dict)

    def post(self, headers: dict[str, str], body: bytes) -> Told:
        segment = json.loads(body)["segment"]
        return self.of.setdefault(segment, AudienceService(became=self.became)).post(headers, body)

    def get(self, path: str) -> Told:
        return AudienceService(became=self.became).get(path)

    def _is_signed(self, headers: dict[str, str], body: bytes) -> bool:
        return AudienceService()._is_signed(headers, body)


class TestWebhook(DestinationContract):
    keys: ClassVar[dict[str, Any]] = {"kind": "webhook", "secret": {"env": "HOOK_SECRET"}, "most_identifiers": 3}
    schedules = (3, 0)
    vectors = (("email", " Anna@Shop.example ", sha256_hex("anna@shop.example")),)

    @pytest.fixture
    def destination(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Destination]:  # type: ignore[override]  # a fixture
        monkeypatch.setenv("HOOK_SECRET", SECRET)
        self.services = Services()
        with serving(self.services) as address:  # type: ignore[arg-type]  # it stands for the service
            entry = DestinationConfig(**self.keys, name="there", url=address)
            yield catalogue.destination(entry, tmp_path / "microconv.toml")

    def listed(self, destination: Destination, segment: str) -> set[Identifier]:  # noqa: ARG002 - the services know
        return set(self.services.of[segment].listed) if segment in self.services.of else set()

    def settle(self, destination: Destination) -> None:  # noqa: ARG002 - see above
        for service in self.services.of.values():
            for _ in range(SLOWEST + 1):
                service.tick()


class TestWebhookInClear(TestWebhook):
    keys: ClassVar[dict[str, Any]] = {**TestWebhook.keys, "in_clear": ["email", "user_id"]}
    schedules = (1, 7)
    vectors = (("email", " Anna@Shop.example ", "anna@shop.example"), ("user_id", "u 7", "u 7"))


class TestEngineTable(DestinationContract):
    keys: ClassVar[dict[str, Any]] = {"kind": "table", "in_clear": ["user_id"]}
    schedules = (2, 0)
    vectors = (
        ("email", " Anna@Shop.example ", sha256_hex("anna@shop.example")),
        ("phone", "+49 170 1234567", sha256_hex("+491701234567")),
        ("user_id", "u 7", "u 7"),
    )

    @pytest.fixture
    def destination(self, tmp_path: Path) -> Iterator[Destination]:  # type: ignore[override]  # a fixture
        with DuckDBEngine(IN_MEMORY, threads=1) as engine:
            entry = DestinationConfig(**self.keys, name="there")
            yield catalogue.destination(entry, tmp_path / "microconv.toml", lambda: engine)

    def listed(self, destination: Destination, segment: str) -> set[Identifier]:
        assert destination.open_engine is not None
        engine = destination.open_engine()
        if engine.find_table("mc_audience_there") is None:
            return set()
        rows = engine.query(Query("listed", "SELECT segment, kind, identifier FROM mc_audience_there", {})).to_pylist()
        return {Identifier(row["kind"], row["identifier"]) for row in rows if row["segment"] == segment}


# The contract itself: it must fail where a destination is wrong


class Forgetful(EngineTableList):
    """Wrong: says that it took what it only wrote in part."""

    def send(self, operation: Operation, identifiers: Sequence[Identifier]) -> Answer:
        return super().send(operation, identifiers[: max(1, len(identifiers) - 1)])


class Stubborn(EngineTableList):
    """Wrong: takes nobody off the list."""

    def send(self, operation: Operation, identifiers: Sequence[Identifier]) -> Answer:
        return super().send(operation, identifiers) if operation == "add" else Answer("success", "r")


class Careless(EngineTableList):
    """Wrong: takes what it cannot carry, and writes whom it was sent into the log."""

    def send(self, operation: Operation, identifiers: Sequence[Identifier]) -> Answer:
        logging.getLogger("careless").debug("sent %s", identifiers)
        return super().send(operation, [each for each in identifiers if each.kind != "fax"])


@pytest.mark.parametrize(
    ("list_type", "finds_out"),
    [
        (Forgetful, ["test_lists_become_what_is_wanted", "test_after_any_faults_the_list_is_what_is_wanted"]),
        (Stubborn, ["test_lists_become_what_is_wanted", "test_operations_may_be_repeated"]),
        (Careless, ["test_what_it_does_not_carry_is_refused_by_its_place", "test_nothing_raw_is_shown"]),
    ],
)
def test_a_destination_that_is_wrong_is_found_out(
    list_type: type[EngineTableList],
    finds_out: list[str],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    class Wrong(EngineTableDestination):
        def audience_list(self, segment: str, push_id: str, facts: Mapping[str, Any] | None = None) -> EngineTableList:
            made = super().audience_list(segment, push_id, facts)
            made.__class__ = list_type
            return made

    for name in finds_out:
        with DuckDBEngine(IN_MEMORY, threads=1) as engine, DuckDBEngine(IN_MEMORY, threads=1) as other:
            destination = Wrong(EngineTableSettings(name="there"))
            destination.open_engine = partial(_same, engine)
            ledger = PushLedger(other, "there", "buyers")
            ledger.prepare()
            given = {"destination": destination, "ledger": ledger, "caplog": caplog, "capfd": capfd}
            test = getattr(TestEngineTable(), name)
            arguments = list(inspect.signature(test).parameters)
            with pytest.raises((AssertionError, pytest.fail.Exception)):
                test(**{each: given[each] for each in arguments})


def _same(engine: DuckDBEngine) -> DuckDBEngine:
    return engine
