"""What the benchmark of builds on Jenkins runs in processes of their own: the simulated Jenkins, rows, one engine's step."""
