"""Canaries that a test sits through: looked at often, and not for long."""

ANALYSIS = {
    "initialDelay": "10s",
    "interval": "5s",
    "window": "20s",
    "latencyIncrease": 0,
    "minRequests": 10,
    "noDataLimit": 4,
    "consecutiveErrorLimit": 1,
}
"""`canary.analysis`, for pauses of 15 to 20 s."""
MONITORING = {"scrapeInterval": "5s"}
"""`monitoring`: Prometheus has enough points in such a window."""
