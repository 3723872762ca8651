"""What every room stands on: errors, processes, waits, files, text."""
