"""Which small steps matter, how sure we are, and what they are worth."""
