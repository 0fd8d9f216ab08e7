"""The API's doors of builds."""
