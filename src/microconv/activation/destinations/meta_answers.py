"""What the Graph API answers, in the words of a push; and what may be sent to it at all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from microconv.activation.audience.normalise import sha256_hex
from microconv.activation.push.audience_list import RefusedError, TryLaterError, UnsureError
from microconv.clients.graph import GraphBusyError, GraphRefusedError
from microconv.clients.outgoing import NoAnswerError, NotSentError

_DIGEST = re.compile(r"[0-9a-f]{64}")
_OF_NOTHING = sha256_hex("")


def is_digest(value: str) -> bool:
    """Tell whether a value is a hash, and of something."""
    return bool(_DIGEST.fullmatch(value)) and value != _OF_NOTHING


@contextmanager
def in_words_of_a_push() -> Iterator[None]:
    """Raise what a push knows for what the Graph API says."""
    try:
        yield
    except NotSentError as error:
        raise TryLaterError(str(error)) from None
    except NoAnswerError as error:
        raise UnsureError(str(error)) from None
    except GraphBusyError as error:
        raise TryLaterError(str(error), retry_after=error.retry_after) from None
    except GraphRefusedError as error:
        raise RefusedError(str(error), rows=None if error.is_about_rows else ()) from None
