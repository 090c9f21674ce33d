"""Audience files of two members each: a format with a limit, of which none is shipped."""

from __future__ import annotations

from pathlib import Path

from microconv.activation.audience.normalise import PLAIN
from microconv.activation.destinations.audience_formats import (
    EVERY_IDENTITY,
    HASHES,
    AudienceFormat,
    jsonl_audience,
)
from microconv.activation.destinations.base import Accepts
from microconv.activation.destinations.file import FolderDestination, FolderSettings


class NumberedDestination(FolderDestination):
    settings_type = FolderSettings
    members_per_file: int | None = 2

    @property
    def audience_format(self) -> AudienceFormat:
        accepts = Accepts("numbered", EVERY_IDENTITY, PLAIN, members_per_batch=self.members_per_file)
        return AudienceFormat("jsonl", HASHES, jsonl_audience, accepts)


def numbered(folder: Path) -> NumberedDestination:
    """Return one that writes into a folder."""
    return NumberedDestination(FolderSettings(name="there", kind="numbered", path=folder))
