"""What the tests of the taxonomy share: the least entries that load, and a file to put them into."""

from __future__ import annotations

from pathlib import Path

GOAL = '[[micro_conversions]]\nid = "goal"\nkind = "macro"\nstage = "decision"\nevent = "goal"\n'


def entry(entry_id: str, *lines: str, stage: str = "consideration", event: str | None = None) -> str:
    head = f'[[micro_conversions]]\nid = "{entry_id}"\nkind = "secondary"\nstage = "{stage}"\n'
    return head + f'event = "{event or entry_id}"\n' + "".join(f"{line}\n" for line in lines)


def write_file(folder: Path, text: str, *, version: str = "1.0") -> Path:
    path = folder / "taxonomy.toml"
    path.write_text(f'version = "{version}"\n{text}', encoding="utf-8")
    return path
