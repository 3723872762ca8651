"""What changes for the model's users when its version does: golden inputs through champion and candidate."""
