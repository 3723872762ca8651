"""docs/your-model.md as a person follows it: its commands in order, in one shell, in a folder that is empty."""

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

from markdown_it import MarkdownIt

from ci.base.paths import ROOT
from tests.harness.remote import run

CALL = re.compile(r'python "\$TOOL/ci/main\.py" (\w+)')
IN_DOCKER = {"lint", "test"}
"""Commands of the tool that cannot do without."""


@dataclass(frozen=True)
class Block:
    """Commands that stand together.

    Attributes:
        text: As the guide has them.
    """

    text: str

    @property
    def calls(self) -> Sequence[str]:
        """The tool's commands in it."""
        return CALL.findall(self.text)

    @property
    def in_docker(self) -> bool:
        """Whether it needs Docker."""
        return not IN_DOCKER.isdisjoint(self.calls)


def fenced(page: str, language: str) -> list[str]:
    """Return the blocks of one language that a page of docs/ has."""
    tokens = MarkdownIt("commonmark").parse((ROOT / "docs" / f"{page}.md").read_text())
    return [token.content for token in tokens if token.type == "fence" and token.info == language]


def blocks() -> list[Block]:
    """Return the guide's commands."""
    return [Block(text) for text in fenced("your-model", "bash")]


def follow(folder: Path, chosen: Sequence[Block], *, seconds: float) -> "CompletedProcess[str]":
    """Run commands in one shell that ends at the first that fails.

    Args:
        folder: An empty one.
        chosen: Of the guide's.
        seconds: How long it may take.
    """
    python = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    shell = ["bash", "-euo", "pipefail", "-c", "\n".join(block.text for block in chosen)]
    return run(shell, cwd=folder, check=False, seconds=seconds, env={"TOOL": str(ROOT), "PATH": python})
