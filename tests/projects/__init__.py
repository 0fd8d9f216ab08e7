"""What the projects room promises."""
