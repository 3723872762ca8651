"""Where the repository is hosted: pull requests and what else git itself has no word for."""
