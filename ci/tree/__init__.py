"""The tree that Argo CD watches: read at a commit, edited, rendered, written back."""
