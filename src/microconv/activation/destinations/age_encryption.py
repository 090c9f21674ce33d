"""Audience files encrypted with age (age-encryption.org), for the keys of those who may read them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import IO, Annotated, Any

from pydantic import AfterValidator

from microconv.config.problems import HiddenError
from microconv.errors import UsageError, needs_extra
from microconv.files import Seal

SUFFIX = "age"


def _recipient(text: str) -> str:
    if text.upper().startswith("AGE-SECRET-KEY-") or "PRIVATE KEY" in text:
        raise HiddenError("is a secret key: it opens files, and belongs to their reader; give the public one, age1…")
    if not re.fullmatch(r"age1[0-9a-z]+|ssh-(?:ed25519|rsa) [A-Za-z0-9+/=]+(?: .*)?", text):
        raise ValueError('is not a public key, such as "age1…" or "ssh-ed25519 …"')
    return text


AgeRecipient = Annotated[str, AfterValidator(_recipient)]


def seal_for(recipients: Sequence[str], name: str) -> Seal | None:
    """Return what encrypts for these public keys; None where there are none. `name` is that of the destination.

    Raises:
        UsageError: The library for it is not installed, or a key is not one.
    """
    if not recipients:
        return None
    try:
        import pyrage
    except ImportError:
        raise needs_extra(f"The destination {name} encrypts its files, which", "age") from None
    keys: list[Any] = []
    for text in recipients:
        kind = pyrage.ssh if text.startswith("ssh-") else pyrage.x25519
        try:
            keys.append(kind.Recipient.from_str(text))
        except pyrage.RecipientError:
            raise UsageError(
                f"The destination {name} has a key in encrypt_to that is damaged: {text[:12]}…",
                hint="Copy it again, whole.",
            ) from None

    def seal(source: IO[bytes], target: object) -> None:
        pyrage.encrypt_io(source, target, keys)

    return seal
