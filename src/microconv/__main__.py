"""`python -m microconv` is `microconv`."""

from __future__ import annotations

from microconv.cli import main

main()
