"""How the portal speaks to the places where services run. Imports no models and no Django."""
