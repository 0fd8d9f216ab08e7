"""A service of 300 pods in a portal's rows, and the same pods asked of an API server by the official client."""
