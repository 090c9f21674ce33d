"""Write small projects for tests."""

from __future__ import annotations

from pathlib import Path


def write_config(folder: Path, *, exports: str = "exports/events_*", timezone: str = "UTC", extra: str = "") -> Path:
    """Write a small configuration and return its path."""
    path = folder / "microconv.toml"
    path.write_text(
        f'[project]\nname = "test"\ntimezone = "{timezone}"\n'
        f'[[sources]]\nproperty = "p1"\nkind = "files"\npath = "{exports}"\n{extra}'
    )
    return path
