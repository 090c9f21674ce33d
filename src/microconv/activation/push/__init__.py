"""Sending cannot be taken back: what is planned, what was sent, what came of it, and what to do after a failure."""
