"""A canary on a cluster: its weights, the traffic through it, and what came of both."""
