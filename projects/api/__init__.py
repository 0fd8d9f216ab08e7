"""The API's doors of projects."""
