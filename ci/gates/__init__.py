"""The canary's gates, replayed against faults without a cluster, and how much they can see."""
