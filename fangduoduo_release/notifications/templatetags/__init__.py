"""Words of the pages about what one is told."""
