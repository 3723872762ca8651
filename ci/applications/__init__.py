"""The user's own applications: which of them a run proves, and what each is proven by."""
