"""Following what configuration elsewhere says: the duty in `duty.py`, its thread and loop in `hub.py`, one server in `line.py`."""
