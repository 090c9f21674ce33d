"""Where an audience can go: one module per kind of destination."""
