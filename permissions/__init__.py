"""Users, tokens, roles, and the one place that answers who may do what."""
