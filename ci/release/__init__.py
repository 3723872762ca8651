"""Changes to the tree that Argo CD watches: edited, committed, pushed."""
