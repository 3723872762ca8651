"""What a change does to the clusters: both commits rendered as Argo CD would, compared object by object."""
