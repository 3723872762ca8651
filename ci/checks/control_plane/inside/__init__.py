"""What runs in the container of the control plane; needs nothing but Python."""
