"""What the portal promises when things go wrong, held against real processes and real kills."""
