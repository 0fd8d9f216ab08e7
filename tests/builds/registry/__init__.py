"""Registries of images: the driver against the real one, and what a build pins."""
