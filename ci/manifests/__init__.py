"""Kubernetes objects as data: read, found, placed in their files, held against each other. No cluster, no Dagger."""
