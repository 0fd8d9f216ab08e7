"""The composition root: settings, URLs, ASGI, and the foundation (common, audit) below the apps."""
