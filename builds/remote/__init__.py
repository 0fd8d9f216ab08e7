"""Builds that run on another server: jobs, triggers, following, logs and what they leave. See docs/architecture.md."""
