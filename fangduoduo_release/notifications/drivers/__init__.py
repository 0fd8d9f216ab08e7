"""How people are told: one file for each kind of channel, behind the border in `base.py`."""
