"""The runtime family: one verb set over this host, Kubernetes and Docker Swarm (see `base`)."""
