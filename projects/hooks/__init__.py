"""Webhooks: what servers with repositories tell us by HTTP. Taken in by `app.py`, stored by `store.py`, worked on by
`engine.py`; how each kind of server speaks is in `dialects/`."""
