"""Two duties whose modules need each other and take a while to load, as those of a real portal do."""
