"""Tests of the room `builds`."""
