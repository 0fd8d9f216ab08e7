"""What was done, by whom, to what: written by every action, read by people."""
