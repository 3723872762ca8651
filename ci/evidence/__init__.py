"""What a green run proves, signed; and the check that nothing is promoted without it (docs/evidence.md)."""
