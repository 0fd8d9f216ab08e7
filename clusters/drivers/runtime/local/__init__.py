"""The runtime kind `local`: instances are processes of this host, each under a shim, in front of them the proxy."""
