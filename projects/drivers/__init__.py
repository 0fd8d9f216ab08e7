"""Drivers of the projects room; no Django, no models."""
