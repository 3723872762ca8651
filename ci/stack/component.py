"""What a part of the stack is, and what every part gets to work with."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from ci.cluster.helm import Helm, Renderer
from ci.cluster.kubectl import Kubectl
from ci.project import ArgoCD, Prometheus
from ci.supply.supply import Supply

READY_SECONDS = 180.0
"""How long one component may take from applied to answering; image pulls from the local registry included."""


class Source(Protocol):
    """Where upstream's charts and manifests are read; no cluster is needed for that."""

    @property
    def helm(self) -> Renderer:
        """Renders upstream's charts."""

    @property
    def supply(self) -> Supply:
        """Pinned charts, manifests and image references."""


@dataclass(frozen=True)
class StackContext:
    """The cluster the stack goes to, and where its parts come from.

    Attributes:
        kubectl: Speaks to the cluster.
        helm: Renders upstream's charts.
        supply: Pinned charts, manifests and image references.
        prometheus: Which Prometheus scrapes; a throw-away cluster's own by default.
        argocd: Argo CD's namespace.
    """

    kubectl: Kubectl
    helm: Helm
    supply: Supply
    prometheus: Prometheus = field(default_factory=Prometheus)
    argocd: str = field(default_factory=lambda: ArgoCD().namespace)


@dataclass(frozen=True)
class Component:
    """One part of the stack.

    Attributes:
        name: As shown to the user.
        api: An API group that is served wherever the component is installed.
        needs: Components whose objects must be on the cluster before this one's are applied.
        find: Returns the object by which the component is known on a cluster, whoever installed it, or None.
        install: Applies the component; calling it again on its own work changes nothing that matters.
        ready: Returns once the component answers real calls.
    """

    name: str
    api: str
    needs: tuple[str, ...]
    find: Callable[[StackContext], Awaitable[dict[str, Any] | None]]
    install: Callable[[StackContext], Awaitable[None]]
    ready: Callable[[StackContext], Awaitable[None]]
