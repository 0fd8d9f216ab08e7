"""A Django app for tests of the run machine: one kind of run, its engine, and processes that really run it.

The suite itself never imports its models: they live in processes with settings of their own (see `shop.py`).
"""
