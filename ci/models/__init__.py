"""The two versions of the iris model that a run serves."""
