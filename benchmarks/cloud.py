"""A BigQuery emulator with the days of an input, and a proxy that counts the calls made to it."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from google.cloud import bigquery

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from emulator import ENVIRONMENT, Emulator
from faulty_proxy import FaultyProxy


@dataclass
class Cloud:
    """A running emulator; `calls` counts the calls to its REST API."""

    emulator: Emulator
    proxy: FaultyProxy
    folder: Path

    @property
    def calls(self) -> int:
        return len(self.proxy.calls)

    def load(self, day: Path) -> None:
        """Make a table of one day's file; the emulator notes a time of change only where something else is changed."""
        with self.emulator.client() as client:
            client.create_dataset("analytics_1", exists_ok=True)
            place = f"{self.emulator.project}.analytics_1.{day.stem}"
            with day.open("rb") as file:
                settings = bigquery.LoadJobConfig(source_format="PARQUET")
                client.load_table_from_file(file, place, job_config=settings).result()
            table = client.get_table(place)
            table.description = uuid.uuid4().hex
            client.update_table(table, ["description"])

    def configured(self, engine: str) -> Path:
        """Write a configuration of the export with this engine, `duckdb` (pull mode) or `bigquery`."""
        path = self.folder / "microconv.toml"
        of_engine = 'dataset = "working"' if engine == "bigquery" else ""
        path.write_text(
            f"""
            [project]
            timezone = "UTC"
            [engine]
            kind = "{engine}"
            {of_engine}
            project = "{self.emulator.project}"
            anonymous = true
            api_endpoint = "{self.proxy.url}"
            storage_endpoint = "http://{self.emulator.grpc_address}"
            [[sources]]
            kind = "bigquery"
            property = "p"
            project = "{self.emulator.project}"
            dataset = "analytics_1"
            """,
            encoding="utf-8",
        )
        return path


@contextmanager
def running(folder: Path) -> Iterator[Cloud | None]:
    """Start an emulator, empty, with `folder` for its configurations; None where it has no environment."""
    if not (ENVIRONMENT / ".made").exists():
        yield None
        return
    folder.mkdir()
    emulator = Emulator()
    try:
        with FaultyProxy(emulator.rest_url) as proxy:
            yield Cloud(emulator, proxy, folder)
    finally:
        emulator.stop()
