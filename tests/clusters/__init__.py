"""Tests of clusters and their drivers."""
