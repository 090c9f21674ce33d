"""What all written documents share: templates that escape, text that Markdown leaves alone, files written whole."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from microconv import wording
from microconv.errors import DestinationError
from microconv.files import replacing
from microconv.version import __version__


def page_of(template: str, *styles: str, **given: object) -> str:
    """Return an HTML page of a template with these stylesheets of ours; all else that goes into it is escaped."""
    # Our own files: the only text that goes into the page unescaped.
    style = Markup("\n").join(Markup(asset(name)) for name in styles)  # noqa: S704 - as said
    return environment().get_template(template).render(style=style, version=__version__, **given)


@cache
def environment() -> Environment:
    """Return what renders the templates of the report: everything is escaped, and nothing may be missing."""
    found = Environment(
        loader=PackageLoader("microconv.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.tests["verbatim"] = lambda value: isinstance(value, wording.Verbatim)
    found.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    return found


@cache
def asset(name: str) -> str:
    """Return the text of a file of the report: a stylesheet, a script."""
    return files("microconv.report").joinpath(name).read_text(encoding="utf-8")


def write_document(text: str, path: Path, what: str, *, is_private: bool) -> Path:
    """Write a document to `path`, whole or not at all, and return `path`.

    Where a person chose the path, ask first whether something else lies there (`config.places.refuse_to_replace`).

    Args:
        text: The document.
        path: Where to.
        what: What it is called, such as "The report".
        is_private: Whether only its owner may read it.

    Raises:
        DestinationError: The folder does not exist or cannot be written to, `path` is a folder, or the disk is full.
    """
    try:
        if not path.parent.is_dir():
            raise DestinationError(
                f"{what} cannot be written to {path}: {path.parent} is not a folder.",
                hint="Create the folder, or name another file.",
            )
        with replacing(path, is_private=is_private) as hidden:
            hidden.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise DestinationError(
            f"{what} cannot be written to {path}: {error.strerror or error}.",
            hint="Check the folder's permissions and free space, or name another file.",
        ) from error
    return path
