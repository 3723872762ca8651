"""Which cluster the steps work on; they do not care who made it."""

from dataclasses import dataclass
from pathlib import Path

API_PORT = 6443
"""In the node, by kind."""


@dataclass(frozen=True)
class Cluster:
    """A cluster that can be talked to.

    Attributes:
        name: Its name.
        kubeconfig: File with its address and credentials.
        context: The context in it.
        network: The Docker network of a cluster made here; None for one that was there before.
    """

    name: str
    kubeconfig: Path
    context: str
    network: str | None

    @property
    def node(self) -> str:
        """The container of the one node of a cluster made here."""
        return f"{self.name}-control-plane"
