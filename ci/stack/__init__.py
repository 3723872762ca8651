"""What the chart needs on a cluster, a component a file."""
