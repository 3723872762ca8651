"""Clusters and what runs on them."""
