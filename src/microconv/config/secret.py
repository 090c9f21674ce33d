"""Secrets: a configuration names where they are (a variable of the environment, a file), and never holds one."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, SecretStr, model_validator

from microconv.config.occurrences import Section
from microconv.config.problems import HiddenError
from microconv.config.values import InFolder
from microconv.errors import ConfigError

_MOST_BYTES = 64 * 1024
_IN_CLEAR = (
    "holds a secret in clear, and a configuration is copied, shared and kept: put it into an environment variable or a "
    'file of its own, write { env = "NAME" } or { file = "path" }, and replace the one that was here'
)


def _not_in_clear(value: object) -> object:
    if isinstance(value, str | int):
        raise HiddenError(_IN_CLEAR)
    return value


def _variable(name: str) -> str:
    if not name.isascii() or not name.replace("_", "a").isalnum() or name[:1].isdigit():
        raise HiddenError("is not the name of an environment variable, such as CRM_SECRET")
    return name


class SecretPlace(Section):
    """Where a secret is: `{ env = "NAME" }` or `{ file = "path" }`."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True)

    env: Annotated[str, AfterValidator(_variable)] | None = None
    file: InFolder | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError('needs either env = "NAME" or file = "path"')
        return self

    def read(self, what: str, environ: Mapping[str, str] = os.environ) -> SecretStr:
        """Return the secret, without white space around it.

        Args:
            what: What it is for, as messages call it ("The secret of the destination crm").
            environ: The environment.

        Raises:
            ConfigError: It is not there, it is empty, or others than its owner may read the file.
        """
        text = environ.get(self.env, "") if self.env is not None else self._from_file(what)
        if not text.strip():
            place = f"the environment variable {self.env}" if self.env is not None else str(self.file)
            raise ConfigError(
                f"{what} is missing: {place} is {'not set' if self.env is not None else 'empty'}.",
                hint=f"Set {self.env}, and run again." if self.env is not None else "Write the secret into it.",
            )
        if not text.strip().isprintable() or not text.isascii():
            raise ConfigError(
                f"{what} cannot be used: it holds characters that cannot be in a header of HTTP.",
                hint="Check that it was copied whole, and nothing beside it: letters, digits and signs on one line.",
            )
        return SecretStr(text.strip())

    def _from_file(self, what: str) -> str:
        assert self.file is not None  # noqa: S101 - one of the two is there
        try:
            with self.file.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                # Windows keeps rights elsewhere.
                if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
                    raise ConfigError(
                        f"{what} is not safe: others than its owner may use {self.file} "
                        f"(mode {stat.S_IMODE(mode):04o}).",
                        hint=f"Run `chmod 600 {self.file}`.",
                    )
                content = file.read(_MOST_BYTES + 1)
            if len(content) > _MOST_BYTES:
                raise ConfigError(f"{what} cannot be used: {self.file} is too large.", hint="Name another file.")
            return content.decode("ascii")
        except UnicodeDecodeError:
            return "\0"
        except OSError as error:
            raise ConfigError(
                f"{what} is missing: {self.file} cannot be read ({error.strerror}).",
                hint="Correct the path or its permissions; it is relative to the configuration.",
            ) from None


Secret = Annotated[SecretPlace, BeforeValidator(_not_in_clear)]
