"""The canary: what its analysis stops, replayed without a cluster, and what it did on one."""
