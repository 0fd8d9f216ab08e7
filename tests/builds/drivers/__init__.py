"""Drivers of the builder family."""
