"""Embedded builds on this host: the agent host forks one agent per build; slots are locked files."""
