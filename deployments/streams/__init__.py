"""Sockets over services: followed logs and terminals. Plain ASGI applications, the same on every server."""
