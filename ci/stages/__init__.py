"""The stages of a test run, one file each; `order` has the list."""
