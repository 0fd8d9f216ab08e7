"""Where configuration lives: YAML manifests and config files by key."""
