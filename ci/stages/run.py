"""What the stages of one run share."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from ci import project
from ci.applications.prepared import Prepared
from ci.base.errors import CheckFailedError
from ci.cluster.cluster import Cluster
from ci.cluster.helm import Helm
from ci.cluster.kubectl import Kubectl
from ci.cluster.runs import new_id
from ci.project import Cluster as ExistingCluster
from ci.project import Project, Prometheus
from ci.results import Finding, Report
from ci.stages.scope import Scope
from ci.supply.supply import Supply
from ci.tree.tree import Asked

NAMESPACE = "ml-serving"
RELEASE = "ml-serving"
STORAGE_SECRET = "model-store"  # noqa: S105 - a Secret's name


@dataclass(frozen=True)
class Options:
    """What the person asked for.

    Attributes:
        project: Folder of the project file.
        environment: With which values of the tool's chart the sample is installed; as the sample has it by default.
        application: The only application that is proven, in one environment or each; all of the change by default.
        keep: Leave the cluster for a look.
        kubeconfig: An existing cluster instead of kind.
        context: Its context; the file's current one by default.
        allow_install: Whether missing parts of the stack may be installed on an existing cluster.
        report: Folder of everything a run leaves to read.
        models: Folder with models of the applications, by their URIs.
        images: Images of the Docker daemon that candidates are served by.
        control_plane: Whether lint asks a control plane without nodes.
        snapshot: Whether the cluster begins from what was kept of one with the stack.
    """

    project: Path
    environment: str | None
    keep: bool
    kubeconfig: Path | None
    context: str | None
    allow_install: bool
    report: Path
    application: Asked | None = None
    models: Path | None = None
    images: tuple[str, ...] = ()
    control_plane: bool = True
    snapshot: bool = False


@dataclass
class Run:
    """One run: what the person asked for, and what the stages made so far.

    Attributes:
        options: What the person asked for.
        supply: Tools and images.
        report: Grows as the run goes on.
        cleanup: Undone in reverse order when the run ends, however it ends.
        namespace: Where the chart is installed.
        made_cluster: The cluster, once the stage `cluster` has made or found it.
        models: SHA-256 of each file of the models in its store, once the stage `stack` has put them there.
        scope: What is proven; None where there is no git repository.
        applications: What the stage `models` got for the stage `applications`.
        platform: Whether the platform is proven, by the sample: a run of applications alone needs none.
        id: Marks what is this run's on a cluster that others use too.
    """

    options: Options
    supply: Supply
    report: Report
    cleanup: AsyncExitStack
    namespace: str = NAMESPACE
    made_cluster: Cluster | None = None
    models: Mapping[str, str] = field(default_factory=dict)
    scope: Scope | None = None
    applications: list[Prepared] = field(default_factory=list)
    platform: bool = True
    id: str = field(default_factory=new_id)

    @cached_property
    def project(self) -> Project:
        """The project."""
        return project.load(self.options.project)

    @property
    def existing(self) -> ExistingCluster | None:
        """What the project file says of a cluster that is there; None on a throw-away one."""
        return self.project.cluster if self.options.kubeconfig is not None else None

    @property
    def prometheus(self) -> Prometheus:
        """The Prometheus that scrapes."""
        return self.existing.prometheus if self.existing is not None else Prometheus()

    @property
    def cluster(self) -> Cluster:
        """The cluster of this run."""
        assert self.made_cluster is not None, "the stage cluster comes first"
        return self.made_cluster

    @property
    def kubectl(self) -> Kubectl:
        """The kubectl command on this run's cluster."""
        return Kubectl(self.supply.tool("kubectl"), self.cluster)

    @property
    def helm(self) -> Helm:
        """Helm on this run's cluster."""
        return Helm(self.supply.tool("helm"), self.cluster)

    def judge(self, findings: Sequence[Finding]) -> None:
        """Keep findings for the report; any error among them fails the stage.

        What is wrong with a file that cannot be read and is none of what is proven is told, and fails nothing.
        """
        left = self.scope.change.left(self.options.application) if self.scope is not None else ()
        findings = [replace(each, severity="warning") if each.file in left else each for each in findings]
        self.report.findings += findings
        errors = [finding for finding in findings if finding.severity == "error"]
        if errors:
            first = errors[0]
            raise CheckFailedError(
                f"{len(errors)} finding{'s' if len(errors) > 1 else ''}; the first: {first.file}:{first.line}: "
                f"{first.message}",
                fix=first.remedy,
            )
