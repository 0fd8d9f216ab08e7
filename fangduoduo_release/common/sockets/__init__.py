"""Sockets: who is connected (identity), who may listen (guards), what wakes them (poller, consumers).

Imports no app: objects, permission check and tokens are named in settings (SOCKET_TOPICS, SOCKET_GUARD, SOCKET_BEARER).
"""
