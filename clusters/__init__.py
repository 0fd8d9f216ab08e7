"""Clusters, machines and the drivers that run services on them."""
