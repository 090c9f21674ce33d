"""Write small projects for tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator import Emulator


def write_config(folder: Path, *, exports: str = "exports/events_*", timezone: str = "UTC", extra: str = "") -> Path:
    """Write a small configuration and return its path."""
    path = folder / "microconv.toml"
    path.write_text(
        f'[project]\nname = "test"\ntimezone = "{timezone}"\n'
        f'[[sources]]\nproperty = "p1"\nkind = "files"\npath = "{exports}"\n{extra}'
    )
    return path


def write_bigquery_config(
    folder: Path, emulator: Emulator, *, dataset: str, exports: str, timezone: str = "UTC", extra: str = ""
) -> Path:
    """Write a configuration of the engine bigquery on the emulator; `exports` is the dataset of the export."""
    path = folder / "bigquery.toml"
    path.write_text(
        f'[project]\nname = "test"\ntimezone = "{timezone}"\n'
        f'[engine]\nkind = "bigquery"\nproject = "{emulator.project}"\ndataset = "{dataset}"\nanonymous = true\n'
        f'api_endpoint = "{emulator.rest_url}"\nstorage_endpoint = "http://{emulator.grpc_address}"\n'
        f'[[sources]]\nproperty = "p1"\nkind = "bigquery"\nproject = "{emulator.project}"\ndataset = "{exports}"\n'
        f"{extra}"
    )
    return path
