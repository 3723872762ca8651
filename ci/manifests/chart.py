"""A chart in a checkout, and what values make of it."""

from dataclasses import dataclass
from pathlib import Path

from ci.base import paths
from ci.results import Finding

NAMESPACE = "ml-serving"


@dataclass(frozen=True)
class Rendering:
    """What one environment's values make of the chart.

    Attributes:
        environment: Its name.
        text: What helm printed; empty where it failed.
        findings: Why it failed.
    """

    environment: str
    text: str
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Chart:
    """A chart in a checkout, and the cluster it is for.

    Attributes:
        root: The top of the checkout.
        path: The chart's folder, from there.
        kube_version: The cluster's version, for helm's capabilities.
    """

    root: Path
    path: str
    kube_version: str

    def files(self, environment: str) -> tuple[str, ...]:
        """Return the values files of an environment, from the top of the checkout, the stronger one first."""
        own = f"{self.path}/values.yaml"
        return (own,) if environment == paths.DEFAULTS else (f"{self.path}/values/{environment}.yaml", own)

    def options(self, environment: str) -> list[str]:
        """Return what helm is told to see the chart as that environment does, or as it is where there is none."""
        values = [] if environment == paths.DEFAULTS else [f"--values=values/{environment}.yaml"]
        return [f"--namespace={NAMESPACE}", *values, f"--kube-version={self.kube_version}"]

    def templates(self) -> dict[str, str]:
        """Return the text of each template by its path in the chart."""
        folder = self.root / self.path
        return {
            str(file.relative_to(folder)): file.read_text(errors="replace")
            for file in sorted((folder / "templates").rglob("*"))
            if file.is_file()
        }
