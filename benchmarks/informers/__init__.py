"""The parts of the benchmark of informers."""
