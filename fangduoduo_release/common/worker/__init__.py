"""The worker: one single-threaded supervisor and its forked children (queue, sweeper, companions).

The supervisor never opens a database connection and never starts a thread, so it can fork at any time and hardly ever
has a reason to die. What a worker does with a run is not known here: see `engines`.
"""
