"""Webhooks, from the sender's bytes to the build."""
