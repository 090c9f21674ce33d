"""What systems write where they know nothing: words that are nobody's name, id or address, and invisible characters."""

from __future__ import annotations

import re

_NOTHING = frozenset(
    {
        *(
            "",
            "-",
            "--",
            ".",
            "?",
            "0",
            "-1",
            "n/a",
            "n.a.",
            "#n/a",
            "null",
            "(null)",
            "nil",
            "none",
            "nan",
            "undefined",
        ),
        *("unknown", "unset", "not set", "(not set)", "(none)", "not provided", "(not provided)", "not available"),
        *("[object object]", "empty", "missing", "test", "anonymous", "guest", "xxx", "false", "true"),
    }
)
_NO_USER_ID = _NOTHING - {"test", "xxx", "empty", "missing"}
_NO_NAME = _NOTHING | {
    *("name", "first name", "firstname", "first_name", "last name", "lastname", "last_name", "surname", "no name"),
    *("customer", "user", "tester", "noname", "asdf"),
}
_NO_ID = re.compile(r"[0-]+|\{\{.*\}\}|%[a-z_]+%|\$\{.*\}")
# Of addresses that a form was filled with: the same word on both sides (none@none.com, test@test.de).
_NO_MAILBOX = frozenset(
    {*("none", "null", "undefined", "nan", "na", "n/a", "test", "unknown", "no", "noemail", "email")}
)

# Format characters: soft hyphens, marks of direction, joiners, byte order marks, variation selectors.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb]"
)


def visible(text: str) -> str:
    """Return the text without characters that nobody sees; copying and pasting brings them along."""
    return text if text.isascii() else _INVISIBLE.sub("", text)


def is_nobody(user_id: str) -> bool:
    """Tell whether a user id says "not signed in": `undefined`, `null`, zeros, blank, a variable that nobody filled."""
    word = visible(user_id).strip().lower()
    return word in _NO_USER_ID or _NO_ID.fullmatch(word) is not None


def is_no_name(name: str) -> bool:
    """Tell whether a name in lower case is a word for "not known"."""
    return " ".join(name.split()) in _NO_NAME


def is_no_mailbox(local: str, domain: str) -> bool:
    """Tell whether both sides of an address in lower case are words that fill in a form."""
    return local in _NO_MAILBOX and domain.partition(".")[0] in _NO_MAILBOX
