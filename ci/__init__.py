"""GitOps CI for serving models with KServe."""
