"""The door for other systems into clusters: Kubernetes' own paths, read from rows, written within what is granted."""
