"""A Consul as its documentation has it: the key-value store over HTTP(S), with blocking queries, ACL and faults."""

from .server import Consul

__all__ = ["Consul"]
