r"""Which regular expressions a taxonomy may use: those that mean something to RE2, the library behind both engines.

What Python's `re` compiles, less what RE2 lacks (https://github.com/google/re2/wiki/Syntax), is the subset taken here.
RE2's own extras (`\pL`, `\z`, `[[:alpha:]]`) are outside it. Then RE2 itself, in DuckDB, is asked, which knows what no
syntax tells: how much a pattern that repeats repetitions needs.
"""

from __future__ import annotations

import re
import warnings
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

_MAX_REPEAT = 1000  # RE2's limit for {n}
_ESCAPES = frozenset("dDwWsSbBAntrfvax")
_CLASS_ESCAPES = _ESCAPES - frozenset("bBA")
_GROUPS = re.compile(r"\(\?(:|P<\w+>|[ims]+\)|[ims]*(-[ims]+)?:)")
_LOOK_AROUND = re.compile(r"\(\?<?[=!]")
_TOKENS = re.compile(
    r"""
      \\(?P<escape>[0-9A-Za-z]|[^\x00-\x7f])
    | \\.
    | (?P<class>\[\^?\]?(?:\\.|[^\]\\])*\])
    | (?P<group>\(\?.{0,64})
    | (?P<possessive>(?:[*+?]|\{\d+(?:,\d*)?\})\+)
    | \{(?P<least>\d*)(?:,(?P<most>\d*))?\}
    """,
    re.VERBOSE | re.DOTALL,
)


def problem_in_pattern(pattern: str) -> str | None:
    """Say why `pattern` cannot be used as a regular expression on the engines, or None when it can.

    Args:
        pattern: A regular expression, found anywhere in a text unless it is anchored.

    Returns:
        The reason, as the end of a sentence that starts with the pattern; None for a usable pattern.
    """
    try:
        with warnings.catch_warnings():
            # Python announces set operations such as [a--b]; RE2 reads them as Python does today.
            warnings.simplefilter("ignore", FutureWarning)
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f"is not a regular expression: {error}"
    position = 0
    while token := _TOKENS.search(pattern, position):
        reason = _problem_in_token(token)
        if reason:
            return reason
        # A group token looks ahead to tell the kinds apart; what follows "(?" is still to be read.
        position = token.start() + 2 if token["group"] else token.end()
    return _problem_of_re2(pattern)


@cache
def _problem_of_re2(pattern: str) -> str | None:
    import duckdb

    try:
        _library().execute("SELECT regexp_matches('', ?)", [pattern]).fetchall()
    except (duckdb.Error, UnicodeError) as error:
        reason = str(error).splitlines()[0].rpartition("Error: ")[2].rstrip(".")
        return f"cannot be used as a regular expression: {reason}"
    return None


@cache
def _library() -> duckdb.DuckDBPyConnection:
    import duckdb

    return duckdb.connect(
        config={
            "threads": 1,
            "memory_limit": "64MB",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )


def _problem_in_token(token: re.Match[str]) -> str | None:
    problem = None
    if token["escape"]:
        problem = _problem_in_escape(token["escape"], _ESCAPES)
    elif token["class"]:
        escapes = re.findall(r"\\(.)", token["class"], re.DOTALL)
        problem = next(filter(None, (_problem_in_escape(escape, _CLASS_ESCAPES) for escape in escapes)), None)
        if "[:" in token["class"]:
            problem = "uses a class such as [:alpha:]; write its characters, such as a-zA-Z"
    elif token["group"] and not _GROUPS.match(token["group"]):
        kind = "look-around" if _LOOK_AROUND.match(token["group"]) else "groups that start like this"
        problem = f"uses {token['group'][:4]!r}; RE2 has no {kind}"
    elif token["possessive"]:
        problem = f"uses {token['possessive']!r}; RE2 has no possessive repetition"
    elif token["least"] == "" and token["most"]:
        problem = f"uses {token[0]!r}; write {{0,{token['most']}}}"
    elif any(int(count) > _MAX_REPEAT for count in (token["least"], token["most"]) if count):
        problem = f"repeats more than {_MAX_REPEAT} times, RE2's limit"
    return problem


def _problem_in_escape(escape: str, known: frozenset[str]) -> str | None:
    if escape in known or (escape.isascii() and not escape.isalnum()):
        return None
    return f"uses \\{escape}; RE2 has no backreferences" if escape.isdigit() else f"uses \\{escape}, which RE2 lacks"
