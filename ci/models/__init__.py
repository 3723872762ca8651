"""Models by the digest of their files."""
