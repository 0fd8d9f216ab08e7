"""Tests of the runtime and traffic drivers, with real processes and a real proxy."""
