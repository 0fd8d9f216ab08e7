"""The watch: periodic duties (pollers, followers, reconcilers) that one of N processes does at a time.

Which duties exist is said by `settings.DUTIES`; what they do is not known here.
"""

from .duty import Duty, Tenure, tenure

__all__ = ["Duty", "Tenure", "tenure"]
