"""Tests for destinations of one's own. They need pytest, which microconv itself does not."""

from microconv.testing.destination_contract import DestinationContract
from microconv.testing.fault_schedule import FaultyList, KilledError, wrong_lists

__all__ = ["DestinationContract", "FaultyList", "KilledError", "wrong_lists"]
