"""What the listening to servers promises."""
