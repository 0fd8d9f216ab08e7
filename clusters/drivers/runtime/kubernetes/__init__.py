"""The runtime `kubernetes`: renders the neutral spec, applies it server-side, reads what is from the informers' cache."""
