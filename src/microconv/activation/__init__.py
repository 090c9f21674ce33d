"""From members of a segment to audience files: consent, identity, normalisation, guards, destinations."""
