"""The checks that need no cluster, as Dagger functions."""
