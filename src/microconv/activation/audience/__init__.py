"""From members of a segment to what may be sent of them: consent, identity, normalisation."""
