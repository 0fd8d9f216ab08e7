"""Services and deployments: which version runs on which machine, and how it gets there."""
