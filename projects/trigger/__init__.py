"""`teamcode_trigger`: listens to a Gerrit from a host that can reach nothing of the portal but its webhook.

It needs no database, no secret of the portal and no Django: a folder of its own is all it keeps. What it hears is on its
disk before anything else is done with it, and stays there until the portal has taken it.
"""
