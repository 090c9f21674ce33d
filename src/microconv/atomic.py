"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a hidden file beside `path` to write, then sync it and put it in place of `path`; on an error leave nothing.

    It lies beside the target, since a rename is atomic only within one file system, and is made plainly, so that the
    umask decides its mode: files with personal data go through `activation.files` instead.

    Raises:
        OSError: the folder or the disk does not take it; an older `path` is as it was.
    """
    hidden = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        hidden.touch()
        yield hidden
        with hidden.open("rb") as written:
            os.fsync(written.fileno())
        hidden.replace(path)
    finally:
        hidden.unlink(missing_ok=True)
