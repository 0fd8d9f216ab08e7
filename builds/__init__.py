"""Templates, pipelines, builds, logs and versions, and the drivers that build. Knows nothing of deployments."""
