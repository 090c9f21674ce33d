"""Ask a question of an engine, as a project does, without a project's file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from microconv.config.sections import Config
from microconv.question import Context, Question, ask

if TYPE_CHECKING:
    from microconv.engines.base import Engine
    from microconv.taxonomy import Taxonomy

CONFIG = Config.model_validate(
    {"project": {"timezone": "UTC"}, "sources": [{"property": "p", "path": "/events_*"}], "file": Path("/no.toml")},
    context={"folder": Path("/")},
)
"""A configuration that asks for nothing."""


def answer(engine: Engine, question: Question, taxonomy: Taxonomy, config: Config | None = None) -> Any:
    """Return the result of a question."""
    return ask(question, Context(config or CONFIG, taxonomy, lambda: engine))
