"""This checkout, as a part of the tool's own image."""

from pathlib import Path

from ci.base import paths

PARTS = (
    ".github",
    ".yamllint.yaml",
    "LICENSE",
    "README.md",
    "bench",
    "ci",
    "docs",
    "gitops",
    "helm",
    "k8s",
    "ml-serving-ci.toml",
    "pyproject.toml",
    "requirements-core.txt",
    "requirements-test.txt",
    "requirements.txt",
    "sample",
    "tests",
)
"""All of it but git's own files and what a machine adds: a virtual environment, caches, reports."""


def files(folder: str, root: Path = paths.ROOT) -> dict[str, Path]:
    """Return every file by its path in the image.

    Args:
        folder: Where the checkout lies in the image.
        root: The checkout.
    """
    found = (file for part in PARTS for file in [root / part, *sorted((root / part).rglob("*"))])
    return {
        f"{folder}/{file.relative_to(root)}": file
        for file in found
        if file.is_file() and "__pycache__" not in file.parts
    }
