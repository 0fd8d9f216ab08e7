"""The smallest durable run there can be, to weigh the run machine itself against bare django-q2 tasks."""

STEPS = 5
