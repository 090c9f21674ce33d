"""Why files of audiences could not be written, in words."""

from __future__ import annotations

import errno
from pathlib import Path

from microconv.errors import DestinationError

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_PERMISSION = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def folder_error(error: OSError, folder: Path) -> DestinationError:
    """Return what is told of an error of the file system in a folder of audiences."""
    if error.errno in _NO_SPACE:
        hint = "Free disk space, or point the destination's path elsewhere, and run again."
    elif error.errno in _NO_PERMISSION:
        hint = "Give this user the right to write there, or point the destination's path elsewhere."
    else:
        hint = "Check that the destination's path is a folder, and run again."
    return DestinationError(
        f"The audience files in {folder} cannot be written: {error.strerror or type(error).__name__}. "
        "Files of the last export were left as they are.",
        hint=hint,
    )
