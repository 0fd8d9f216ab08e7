"""The pages as a person uses them: a real portal, Debian's chromium, no shortcuts."""
