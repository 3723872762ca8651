"""A control plane without nodes: what its API server and its controllers say of rendered applications."""
