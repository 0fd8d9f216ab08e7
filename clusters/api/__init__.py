"""The API's doors of clusters."""
