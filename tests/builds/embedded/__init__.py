"""The embedded executor at work: real shells, real git, real kills."""
