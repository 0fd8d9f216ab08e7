"""The traffic family: who gets which share of a service's requests (see `base`)."""
