"""What the trigger that listens elsewhere promises."""
