"""The API's doors of deployments."""
