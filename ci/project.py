"""The project file, `ml-serving-ci.toml`: how things are in a user's repository. docs/project.md explains every key."""

import bisect
import contextlib
import functools
import importlib.resources
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from ci.base import duration, fields, nesting, schedule
from ci.base.errors import UsageError

FILE = "ml-serving-ci.toml"
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
"""A DNS label, as names of namespaces are (https://www.rfc-editor.org/rfc/rfc1123#section-2)."""
RESERVED = {"defaults": "the chart's own values alone", "quarantine": "the folder of sets that failed"}
"""What no environment may be called, with what the name means."""
EXPLAINED = "docs/project.md explains every key"
TOML = f'Text stands in quotes ("main"), yes and no are true and false; {EXPLAINED}'
BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*")
PREFIX = re.compile(r"[a-z][a-z0-9+.-]*://\S*")
ADDRESS = re.compile(r"\S+")
UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PATTERN = frozenset("*?![]{}")
"""Argo CD takes what has one of these for a pattern or a template."""
PATH = PATTERN | frozenset("\\$:")
"""In a path, for a variable or another kind of address, too."""
GIT = ".git"
"""In any case, git takes no path with a part of this name
(https://git-scm.com/docs/git-config#Documentation/git-config.txt-coreprotectNTFS)."""
MANIFESTS = (".json", ".yaml", ".yml")
"""How files end that kubectl takes of a folder
(https://kubernetes.io/docs/reference/kubectl/generated/kubectl_apply/)."""
MOST_PODS = 2**31 - 1
"""Kubernetes counts replicas in 32 bits
(https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/deployment-v1/#DeploymentSpec)."""
LONGEST_SECONDS = (2**63 - 1) // 10**9
"""Go's durations are whole nanoseconds in 64 bits (https://pkg.go.dev/time#Duration)."""
DESCRIPTION_BYTES = 255
"""Of a window (https://github.com/argoproj/argo-cd/blob/v3.6.1/pkg/apis/application/v1alpha1/types.go)."""
KUBERNETES = re.compile(r"v?(?P<release>(0|[1-9]\d*)(\.(0|[1-9]\d*)){1,2})([-+][0-9A-Za-z.+-]+)?")
"""A server's version, as `kubectl version` prints it; Helm gets it from Argo CD without what follows the numbers."""
API = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?v[0-9][a-z0-9]*(/[A-Z][A-Za-z0-9]*)?")
IN_CLUSTER = "in-cluster"
"""Argo CD's name for the cluster that it runs in
(https://argo-cd.readthedocs.io/en/stable/operator-manual/declarative-setup/#clusters)."""


def _like(form: re.Pattern[str], wanted: str) -> AfterValidator:
    def checked(text: str) -> str:
        if not form.fullmatch(text):
            raise ValueError(f"{text!r}: not {wanted}")
        return text

    return AfterValidator(checked)


def _literal(text: str, special: frozenset[str] = PATTERN) -> str:
    if wrong := sorted({char for char in text if char in special or ord(char) < ord(" ")}):
        raise ValueError(f"{text!r}: Argo CD does not take {' '.join(map(repr, wrong))} for what it is")
    return text


def _inside(text: str) -> str:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or str(path) != text or text == ".":
        raise ValueError(f"{text!r} is no path below the project file's folder, such as gitops or deploy/models")
    if any(part.lower() == GIT for part in path.parts):
        raise ValueError(f"{text!r} is in git's own folder, of which git keeps no version and Argo CD gets nothing")
    return _literal(text, PATH)


def _cluster(text: str) -> str:
    if text == IN_CLUSTER:
        raise ValueError(f"{IN_CLUSTER} is where an environment is that names no cluster: leave it out")
    return _literal(text)


def _read_by(reader: Callable[[str], object]) -> AfterValidator:
    """Return a check that a text is what a reader takes."""

    def checked(text: str) -> str:
        try:
            reader(text)
        except UsageError as error:
            raise ValueError(error.message) from None
        return text

    return AfterValidator(checked)


def _open(text: str) -> str:
    if not 0 < duration.seconds(text) <= LONGEST_SECONDS:
        raise ValueError(f"{text}: Argo CD's windows are open for more than no time, and at most {LONGEST_SECONDS} s")
    return text


def _zone(text: str) -> str:
    """Argo CD takes a zone that it does not know for UTC, and says so in its log alone."""
    if text not in zones():
        raise ValueError(f"{text!r} is no time zone that every system has, such as UTC or Europe/Paris")
    return text


@functools.cache
def zones() -> frozenset[str]:
    """Return the time zones that every system has: those of places (https://data.iana.org/time-zones/theory.html).

    Other names are links, which distributions put into a package of their own (Debian's tzdata-legacy).
    """
    table = importlib.resources.files("tzdata.zoneinfo").joinpath("zone.tab").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in table.splitlines() if not line.startswith("#"))
    return frozenset({"UTC", "Etc/UTC", *(row[2] for row in rows)})


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r}: no regular expression: {error}") from None
    return text


def _short(text: str) -> str:
    if (size := len(text.encode())) > DESCRIPTION_BYTES:
        raise ValueError(f"{size} bytes, and Argo CD takes {DESCRIPTION_BYTES}")
    return text


def _branch(text: str) -> str:
    """Take what git takes for a branch (https://git-scm.com/docs/git-check-ref-format), of what BRANCH lets through."""
    parts = text.split("/")
    odd = any(not part or part.startswith(".") or part.endswith(".lock") for part in parts)
    if odd or ".." in text or text.endswith(".") or text == "HEAD":
        raise ValueError(f"{text!r}: not the name of a branch")
    return text


def _mirror(text: str) -> str:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or not text or "\0" in text:
        raise ValueError(f"{text!r} is no path from the project file's folder, such as models or data/models")
    return text


Kind = Literal["AppProject", "ApplicationSet"]
Folder = Annotated[str, AfterValidator(_inside)]
Duration = Annotated[str, _read_by(duration.seconds)]
Api = Annotated[str, _like(API, "an API, such as monitoring.coreos.com/v1 or apps/v1/Deployment")]
Label = Annotated[str, _like(LABEL, "a name of lower-case letters, digits and dashes, 63 at most")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Paths(_Strict):
    """Where things are, from the project file's folder.

    Attributes:
        tree: What Argo CD watches: TREE/ENVIRONMENT/NAME.yaml.
        chart: The chart that its applications are made with.
        argocd: What Argo CD is given, made by `argocd render`.
        golden: GOLDEN/NAME.yaml, a golden file an application.
        crds: CRDs of the project's own, which lint and throw-away clusters know beside the stack's; empty: none.
        policies: What its clusters have that judges or limits applications, which lint's control plane has as well;
            empty: none.
    """

    tree: Folder = "gitops"
    chart: Folder = "helm/charts/ml-serving"
    argocd: Folder = "k8s/argocd"
    golden: Folder = "golden"
    crds: Folder | Literal[""] = ""
    policies: Folder | Literal[""] = ""

    @property
    def named(self) -> Mapping[str, str]:
        """Each that there is, by its key."""
        return {key: path for key, path in self.model_dump().items() if path}

    def golden_file(self, application: str) -> str:
        """Return the path of an application's golden file, which it need not have."""
        return f"{self.golden}/{application}.yaml"


class ArgoCD(_Strict):
    """Argo CD.

    Attributes:
        namespace: Where it runs.
        project: Name of the ApplicationSet, and what the names of the AppProjects begin with, one an environment.
        patches: JSON patches (RFC 6902) of what is made of this file: files below `paths.argocd`, by kind.
    """

    namespace: Label = "argocd"
    project: Label = "ml-serving"
    patches: Mapping[Kind, Folder] = {}

    def project_of(self, environment: str) -> str:
        """Return the name of an environment's AppProject."""
        return f"{self.project}-{environment}"


class Window(_Strict):
    """When Argo CD may sync an environment by itself (https://argo-cd.readthedocs.io/en/stable/user-guide/sync_windows/).

    Attributes:
        schedule: When it opens, in cron's five fields.
        duration: How long it stays open.
        timezone: Of the schedule.
        manual: Whether a person may sync at any time.
        description: Why, for whoever waits.
    """

    schedule: Annotated[str, _read_by(schedule.checked)]
    duration: Annotated[Duration, AfterValidator(_open)]
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"
    manual: bool = True
    description: Annotated[str, AfterValidator(_short)] = ""


class Environment(_Strict):
    """A named place in the order of promotion.

    Attributes:
        name: As its folder in the tree.
        namespace: Where its applications run.
        cluster: The destination's name in Argo CD; without it, the cluster that Argo CD runs in.
        context: The kubeconfig's context for its health; the current one by default.
        protected: Whether only proven sets reach it: an Application that is gone leaves what it serves there, too.
        evidence: Environments whose evidence lets a set in; by default the one before it.
        soak: How long it must run a set well before the set may move on.
        windows: When Argo CD may sync it; at any time by default.
        kubernetes: The cluster's version, which Argo CD tells charts; that of a throw-away cluster by default.
        api_versions: APIs that the cluster has beside Kubernetes' own, which Argo CD tells charts.
        istio_cni: Whether the cluster's Istio has its CNI plugin, by which no pod needs NET_ADMIN.
    """

    name: Label
    namespace: Label
    cluster: Annotated[str, Field(min_length=1), AfterValidator(_cluster)] | None = None
    context: str | None = Field(default=None, min_length=1)
    protected: bool = False
    evidence: tuple[str, ...] | None = Field(default=None, strict=False)
    soak: Duration = "0s"
    windows: tuple[Window, ...] = Field(default=(), strict=False)
    kubernetes: Annotated[str, _like(KUBERNETES, "a version of Kubernetes, such as 1.33 or v1.33.4")] | None = None
    api_versions: tuple[
        Annotated[str, _like(API, "an API, such as v1, apps/v1 or monitoring.coreos.com/v1/Rule")], ...
    ] = Field(default=(), strict=False)
    istio_cni: bool = False

    @property
    def kube_version(self) -> str | None:
        """`kubernetes`, as Helm gets it."""
        found = KUBERNETES.fullmatch(self.kubernetes or "")
        return found["release"] if found else None

    @property
    def soak_seconds(self) -> float:
        """`soak`, in seconds."""
        return duration.seconds(self.soak)


class Models(_Strict):
    """Where models come from.

    Attributes:
        mirrors: Folders, from the project file's, with the same files as below a URI; by the URI's beginning.
    """

    mirrors: Mapping[
        Annotated[str, _like(PREFIX, "the beginning of a URI, such as s3://acme-models/")],
        Annotated[str, AfterValidator(_mirror)],
    ] = {}

    def folders(self, project: Path) -> dict[str, Path]:
        """Return the mirrors by the URI's beginning.

        Args:
            project: The project file's folder.
        """
        return {prefix: project / place for prefix, place in self.mirrors.items()}


class Throwaway(_Strict):
    """What a throw-away cluster changes of an environment; report and evidence list it.

    Attributes:
        replicas: Most pods of one version.
        longest_pause: What longer pauses of the canary's steps are cut to.
        values: Helm values over the environment's, by application, or "*" for all; an empty table takes one away.
    """

    replicas: int | None = Field(default=None, ge=1, le=MOST_PODS)
    longest_pause: Duration | None = None
    values: Mapping[str, Mapping[str, Any]] = {}

    def allowed(self, application: str) -> frozenset[str]:
        """Return what may be changed of an application, by the keys that allow it ("throwaway.values.*.resources")."""
        given = self.model_dump(include={"replicas", "longest_pause"}, exclude_none=True)
        values = {name: self.values[name] for name in ("*", application) if name in self.values}
        return frozenset(f"throwaway.{key}" for key in (*given, *_below("values", values)))


def _below(path: str, values: Mapping[str, Any]) -> Iterator[str]:
    """Yield the dotted path of everything below a mapping."""
    for key, value in values.items():
        yield f"{path}.{key}"
        if isinstance(value, Mapping):
            yield from _below(f"{path}.{key}", value)


class Prometheus(_Strict):
    """A Prometheus that Prometheus Operator runs; the defaults are those of a throw-away cluster.

    Attributes:
        namespace: Where it runs.
        service: Its Service there.
        port: The Service's.
        labels: What its selectors ask of a ServiceMonitor and a PrometheusRule.
        series: What it has from elsewhere, beside what a chart's monitors and rules make: names, or regular expressions
            of whole ones.
    """

    namespace: Label = "monitoring"
    service: Label = "prometheus-operated"
    port: int = Field(default=9090, ge=1, le=65535)
    labels: Mapping[str, str] = {"release": "prometheus"}
    series: tuple[Annotated[str, AfterValidator(_pattern)], ...] = Field(default=(), strict=False)

    @property
    def host(self) -> str:
        """Its Service's name for any pod of the cluster, with the port."""
        return f"{self.service}.{self.namespace}:{self.port}"


class Cluster(_Strict):
    """A cluster that is there before a run, which `test --kubeconfig FILE` uses.

    Attributes:
        prometheus: The Prometheus that scrapes there.
        values: Helm values over the environment's there, as a throw-away one's.
        evidence: Clusters whose runs count: a name for people, and the uid of the namespace kube-system, which no two
            clusters share, whatever a kubeconfig calls them.
    """

    prometheus: Prometheus = Prometheus()
    values: Mapping[str, Mapping[str, Any]] = {}
    evidence: Mapping[str, Annotated[str, _like(UID, "the uid of a namespace, such as kube-system's")]] = {}

    def named(self, uid: str) -> str | None:
        """Return what a cluster whose evidence counts is called; None where it does not."""
        return next((name for name, each in self.evidence.items() if each == uid), None)

    def allowed(self, application: str) -> frozenset[str]:
        """Return what may be changed of an application there, by the keys that allow it ("cluster.prometheus")."""
        values = {name: self.values[name] for name in ("*", application) if name in self.values}
        written = {"prometheus"} & self.model_fields_set
        return frozenset(f"cluster.{key}" for key in (*written, *_below("values", values)))


class Project(_Strict):
    """All of the file.

    Attributes:
        repository: Address of the repository that Argo CD watches.
        branch: The branch it watches there.
        forge: Where it is hosted.
        paths: Where things are.
        argocd: Argo CD.
        models: Where models come from.
        throwaway: What a throw-away cluster changes.
        cluster: A cluster that is there before a run.
        environments: In the order of promotion.
    """

    repository: Annotated[str, _like(ADDRESS, "an address without spaces"), AfterValidator(_literal)]
    branch: Annotated[str, _like(BRANCH, "the name of a branch"), AfterValidator(_branch)] = "main"
    forge: Literal["github"] = "github"
    paths: Paths = Paths()
    argocd: ArgoCD = ArgoCD()
    models: Models = Models()
    throwaway: Throwaway = Throwaway()
    cluster: Cluster = Cluster()
    environments: tuple[Environment, ...] = Field(min_length=1, strict=False)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for path, said in self._contradictions():
            raise _ContradictionError(path, said)
        return self

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The environments' names, in order."""
        return tuple(each.name for each in self.environments)

    @property
    def protected(self) -> str:
        """The environments that only proven sets reach, as people name them."""
        return ", ".join(each.name for each in self.environments if each.protected) or "a protected environment"

    def environment(self, name: str) -> Environment:
        """Return the environment of a name.

        Raises:
            UsageError: There is none.
        """
        for each in self.environments:
            if each.name == name:
                return each
        meant = f": {RESERVED[name]}" if name in RESERVED else ""
        raise UsageError(f"{name}: not one of the environments {', '.join(self.names)}{meant}", fix=f"{FILE} has them")

    def evidence_for(self, name: str) -> tuple[str, ...]:
        """Return the environments whose evidence lets a set into one: it is promoted from any of them."""
        own = self.environment(name).evidence
        if own is not None:
            return own
        number = self.names.index(name)
        return self.names[number - 1 : number]

    def targets(self, name: str) -> tuple[str, ...]:
        """Return the environments that a set of this one may be promoted to."""
        return tuple(each for each in self.names if name in self.evidence_for(each))

    def guarded(self, name: str) -> tuple[str, ...]:
        """Return the protected environments that a set of this one may get to by promotions, in their order."""
        reached = [name]
        for each in self.names:  # evidence is always that of earlier ones
            if not {*self.evidence_for(each)}.isdisjoint(reached):
                reached.append(each)
        return tuple(each for each in reached[1:] if self.environment(each).protected)

    def _contradictions(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Yield what is wrong between values that are each right, with the place."""
        places: dict[tuple[str | None, str], str] = {}
        for number, each in enumerate(self.environments):
            at = ("environments", number)
            if each.name in RESERVED:
                yield (*at, "name"), f"{each.name} is taken: {RESERVED[each.name]}"
            if self.names.index(each.name) != number:
                yield (*at, "name"), f"there are two environments {each.name}"
            other = places.setdefault((each.cluster, each.namespace), each.name)
            if other != each.name:
                where = f" of cluster {each.cluster}" if each.cluster else ""
                yield (*at, "namespace"), f"{other} has namespace {each.namespace}{where} already"
            for source in each.evidence or ():
                if source not in self.names:
                    yield (*at, "evidence"), f"there is no environment {source}"
                elif self.names.index(source) == number:
                    yield (*at, "evidence"), f"{source} lets itself in"
                elif self.names.index(source) > number:
                    yield (*at, "evidence"), f"{source} comes after {each.name}: sets would move in a cycle"
            if each.protected and each.evidence == ():
                said = f"{each.name} is protected, and by this no evidence would let a set in"
                yield (*at, "evidence"), f"{said}: name an environment, or leave it out for the one before"
        named = {"tree": self.paths.tree, "chart": self.paths.chart, "argocd": self.paths.argocd}
        named |= {key: path for key in ("crds", "policies") if (path := getattr(self.paths, key))}
        for key, path in named.items():
            for other_key, other_path in named.items():
                if key != other_key and PurePosixPath(path).is_relative_to(other_path):
                    yield ("paths", key), f"{path} is inside {other_key}, {other_path}"
        golden, tree = PurePosixPath(self.paths.golden), PurePosixPath(self.paths.tree)
        if tree in (golden, golden.parent):  # where gates.yaml is, and applications are
            yield ("paths", "golden"), f"{golden} has other files of the tree, {tree}, too: golden files need a folder"
        for kind, file in self.argocd.patches.items():
            if "/" not in file and PurePosixPath(file).suffix in MANIFESTS:
                said = f"{file} is no manifest, and kubectl apply -f {self.paths.argocd}/ would take it for one"
                yield ("argocd", "patches", kind), f"{said}: put it into a folder there, patches/{file}"


class _ContradictionError(ValueError):
    """What is wrong, and where."""

    def __init__(self, path: tuple[str | int, ...], said: str) -> None:
        super().__init__(said)
        self.path = path


def find(start: Path) -> Path:
    """Return the folder of the project file: this one, or the nearest above it that has one.

    Raises:
        UsageError: None has.
    """
    for folder in (start, *start.parents):
        if (folder / FILE).is_file():
            return folder
    raise UsageError(
        f"{start}: no {FILE} here or above", fix=f"--project DIR, with the folder that has it; {EXPLAINED}"
    )


def load(folder: Path) -> Project:
    """Read the project file of a folder.

    Raises:
        UsageError: It is not there, or not what it should be; file, line and key are named.
    """
    file = folder / FILE
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise UsageError(
            f"{file}: no such file", fix=f"--project DIR, with the folder that has it; {EXPLAINED}"
        ) from None
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from error
    return parse(content, str(file))


@functools.lru_cache(maxsize=8)  # every application of a commit asks for the same
def parse(content: bytes, name: str = FILE) -> Project:
    """Return what a project file says.

    Args:
        content: The file.
        name: What it is called in errors.

    Raises:
        UsageError: It is no TOML, or says what it cannot mean; line and key are named.
    """
    try:
        text = content.decode("utf-8-sig")  # an editor's byte order mark says nothing
        data = nesting.read(lambda: tomllib.loads(text), name)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UsageError(f"{name}:{line}: not text in UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"at line (\d+)", str(error))
        where = f":{place[1]}" if place else f":{text.count(chr(10)) + 1}"
        said = re.sub(r" \(at (line \d+, column \d+|end of document)\)", "", str(error))
        raise UsageError(f"{name}{where}: no TOML: {said}", fix=TOML) from None
    try:
        return Project.model_validate(data)
    except ValidationError as error:
        found = error.errors()
        contradiction = found[0].get("ctx", {}).get("error") if len(found) == 1 else None
        if isinstance(contradiction, _ContradictionError):
            wrong = [_told(text, name, contradiction.path, str(contradiction))]
        else:
            wrong = [_told(text, name, *each) for each in fields.wrong(error, Project)]
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    raise UsageError(f"{wrong[0]}{more}", fix=EXPLAINED, detail="\n".join(wrong) if more else None)


def _told(text: str, name: str, path: tuple[str | int, ...], said: str) -> str:
    path = path[:-1] if path[-1:] == ("[key]",) else path  # what pydantic adds where a key is wrong, and no value
    line = line_of(text, path)
    return f"{name}{f':{line}' if line else ''}: {dotted(path)}: {said}"


def dotted(path: tuple[str | int, ...]) -> str:
    """Return a path as people write it: environments[0].name."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def line_of(text: str, path: tuple[str | int, ...]) -> int:
    """Return the line of what a path leads to in a project file, or of the nearest thing around it; 0: the whole file.

    Something stands on the line before which it is not there: TOML's own reader tells so of any beginning of a file.

    Args:
        text: The file.
        path: Keys, and numbers in lists.
    """
    lines = text.split("\n")
    depth = _depth(tomllib.loads(text), path)
    if not depth:
        return 0

    def is_there(line: int) -> bool:
        beginning = _beginning(lines, line)
        return _depth(beginning.read, path) >= depth

    last = bisect.bisect_left(range(len(lines)), True, key=lambda number: is_there(number + 1)) + 1
    return _beginning(lines, last - 1).line + 1  # of what is written in several lines, the first


@dataclass(frozen=True)
class _Beginning:
    """Whole statements from the start of a file.

    Attributes:
        line: The last one's last line, from 1.
        read: What they say.
    """

    line: int
    read: Mapping[str, Any]


def _beginning(lines: Sequence[str], last: int) -> _Beginning:
    """Return the longest beginning of a file that ends on a line or before it, and within no statement."""
    for line in range(last, 0, -1):
        with contextlib.suppress(tomllib.TOMLDecodeError):
            return _Beginning(line, tomllib.loads("\n".join((*lines[:line], ""))))
    return _Beginning(0, {})


def _depth(found: Any, path: tuple[str | int, ...]) -> int:
    """Return how many parts of a path lead somewhere."""
    for depth, part in enumerate(path):
        try:
            found = found[part]
        except (LookupError, TypeError):
            return depth
    return len(path)
