"""Projects, their repositories and the machines they may use; knows nothing of builds or deployments."""
