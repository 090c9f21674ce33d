"""Configuration: one TOML file and environment overrides, read into frozen sections. It knows no room of the house."""
