"""The foundation every app stands on: runs, errors, drivers, events, secrets. Knows no app above it."""
