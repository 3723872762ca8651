"""One result model, shown several ways."""
