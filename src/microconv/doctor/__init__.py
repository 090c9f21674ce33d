"""Doctor: is all there that a sync needs, and is the data as it should be? It writes nothing, and bills nothing."""

from microconv.doctor.diagnosis import CHECKS, diagnose

__all__ = ["CHECKS", "diagnose"]
