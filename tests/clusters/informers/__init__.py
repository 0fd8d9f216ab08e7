"""What the following of clusters promises."""
