"""The environment of other tools, apart from microconv's own: made on first use, and again when the pins change."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[1] / ".others"
PINS = Path(__file__).with_name("others.txt")
TOOLS: Mapping[str, tuple[str, ...]] = {
    "chdb": ("chdb",),
    "polars": ("polars",),
    "ChannelAttribution": ("ChannelAttribution", "matplotlib", "pyarrow"),
    "mam": ("marketing-attribution-models",),
}
"""By the name it is imported by: what to install for a tool."""


@dataclass(frozen=True)
class Environment:
    """An interpreter, and the tools that it lacks with the reason for each."""

    python: Path
    missing: Mapping[str, str]


def make() -> Environment:
    """Make the environment unless it is there; a tool that cannot be installed leaves the others alone."""
    python, made = FOLDER / "bin" / "python", FOLDER / "made.json"
    pins = PINS.read_text(encoding="utf-8")
    state = json.loads(made.read_text(encoding="utf-8")) if made.exists() else {}
    if state.get("pins") != pins or state.get("made_by") != sys.version:
        shutil.rmtree(FOLDER, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(FOLDER)], check=True)
        missing = {tool: reason for tool in TOOLS if (reason := _install(python, tool))}
        state = {"pins": pins, "made_by": sys.version, "missing": missing}
        made.write_text(json.dumps(state), encoding="utf-8")
    return Environment(python, state["missing"])


def _install(python: Path, tool: str) -> str | None:
    """Install a tool and import it; return why that failed, None where it did not."""
    pip = (str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    for command in ((*pip, "--constraint", str(PINS), *TOOLS[tool]), (str(python), "-c", f"import {tool}")):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return done.stderr.strip().splitlines()[-1]
    return None
