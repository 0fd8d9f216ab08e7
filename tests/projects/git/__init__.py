"""What repositories and git over HTTP promise, with real git and real servers."""
