"""Tables of one's own: people, consent, events of other systems. Read strictly; no value of theirs is in a message."""
