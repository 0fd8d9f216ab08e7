"""Measuring pushes on a Gerrit: the simulated server in a process of its own, people who push there, a bare listener."""
