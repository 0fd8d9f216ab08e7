"""`make bench`: what the portal costs and how fast it is, measured on this machine against a baseline of the same run."""
