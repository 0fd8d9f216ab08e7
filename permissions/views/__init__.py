"""Pages about people: the door, oneself, keys, service accounts."""
