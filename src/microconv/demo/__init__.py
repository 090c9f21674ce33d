"""A made-up GA4 export with planted truths: to try microconv on, and to test it against what is known to be true."""

from __future__ import annotations

from microconv.demo.truths import Truths
from microconv.demo.write import DemoExport, write_demo

__all__ = ["DemoExport", "Truths", "write_demo"]
