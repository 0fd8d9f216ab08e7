"""How the portal speaks to what builds. Imports no models."""
