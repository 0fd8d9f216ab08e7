"""What `bench_notifications.py` runs inside the portal's own settings."""
