"""How microconv was called, so that a command that we print works as it is typed, from where the user stands."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import click

_PROGRAM = "microconv"
_COMMAND = re.compile(rf"`{_PROGRAM} ([^`]+)`")
_WITHOUT_CONFIGURATION = ("init", "demo")


def command(*words: str, config: Path | str | None = None) -> str:
    """Return a line for a shell: this program with these words, and with the configuration given to it (or another)."""
    named = config or _configuration()
    is_named = named is not None and words[0] not in ("-c", *_WITHOUT_CONFIGURATION)
    options = ["-c", str(named)] if is_named else []
    return " ".join(shlex.quote(word) for word in (*_program(), *options, *words))


def as_typed(text: str, config: Path | None = None) -> str:
    """Return a text in which each command, written as `microconv sync`, is one that works as it is typed."""

    def typed(match: re.Match[str]) -> str:
        try:
            return f"`{command(*shlex.split(match[1]), config=config)}`"
        except ValueError:  # text of somebody else, with half a quotation
            return match[0]

    return _COMMAND.sub(typed, text)


def _program() -> tuple[str, ...]:
    called = Path(sys.argv[0]) if sys.argv and sys.argv[0] else Path(_PROGRAM)
    if called.name == "__main__.py" and called.parent.name == _PROGRAM:  # python -m microconv
        names = (name for name in ("python", "python3") if _is_found(name, Path(sys.executable)))
        return (next(names, _place(Path(sys.executable))), "-m", _PROGRAM)
    if called.name != _PROGRAM or len(called.parts) == 1 or _is_found(_PROGRAM, called):
        return (_PROGRAM,)
    return (_place(called),)


def _is_found(name: str, file: Path) -> bool:
    """Whether a shell finds this very file under the name; where it is a link to matters to an environment's Python."""
    found = shutil.which(name)
    return found is not None and os.path.abspath(found) == os.path.abspath(file)  # noqa: PTH100 - links stay links


def _place(file: Path) -> str:
    """Name a file as briefly as a shell takes it: from the current folder if it is inside, else whole."""
    whole = Path(os.path.abspath(file))  # noqa: PTH100 - links stay links
    here = Path.cwd()
    if not whole.is_relative_to(here):
        return str(whole)
    inside = str(whole.relative_to(here))
    return inside if os.sep in inside else os.path.join(os.curdir, inside)  # noqa: PTH118 - a path would drop the dot


def _configuration() -> str | None:
    """Return the configuration that the command was given, by its option or by the environment."""
    context = click.get_current_context(silent=True)
    given = context.find_root().params.get("config") if context else None
    return str(given) if given else os.environ.get("MICROCONV_CONFIG") or None
