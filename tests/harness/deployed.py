"""What is deployed of a commit: as Argo CD's own code has it, and as the tool reads and renders it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import anyio

from ci import project as projects
from ci.base.errors import CIError
from ci.manifests import documents, kubernetes_yaml
from ci.tree import application_set, argocd, change, git, render, tree
from ci.tree.git import Snapshot
from tests.harness import corpus
from tests.harness.remote import run

ENVIRONMENTS = ("lab", "live")
TREE, CHART = "gitops", "chart"
APPLICATION = """\
chart: {revision: main}
model:
  version: "7"
  storageUri: gs://good/model
  digest: ""
image:
  repository: registry.example.com/fraud
  tag: v1.10
  digest: ""
values: {}
"""
PLAIN = {
    "Chart.yaml": "apiVersion: v2\nname: plain\nversion: 1.0.0\n",
    "values.yaml": "exampleModel: {}\n",
    "templates/all.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: all}\n"
    "data: {values: {{ .Values | toJson | quote }}}\n",
}
"""A chart that shows the values that it is given."""
KUBERNETES = """\
kubernetes = "1.31.4"
api_versions = ["policy/v1/PodDisruptionBudget", "monitoring.coreos.com/v1"]
"""
"""Of an environment: what charts are told of its cluster."""


def toml(environments=ENVIRONMENTS, more=""):
    """A project file; `more` is of the last environment."""
    named = "\n".join(f'[[environments]]\nname = "{name}"\nnamespace = "acme-{name}"\n' for name in environments)
    return f'repository = "https://git.example.com/acme/models.git"\n\n[paths]\nchart = "{CHART}"\n\n{named}{more}'


@dataclass(frozen=True)
class Repository:
    """A git repository; projects are at its top or in folders of it."""

    folder: Path

    def write(self, files):
        """Write files, by their paths from the top."""
        for path, content in files.items():
            file = self.folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.encode())

    def project(self, prefix, text, applications, chart):
        """Write a project.

        Args:
            prefix: Its folder, "" for the top.
            text: The project file.
            applications: By environment and name, their files.
            chart: The chart's files, by their paths in it.
        """
        files = {projects.FILE: text, **argocd.render(projects.parse(text.encode()), prefix)}
        files |= {f"{TREE}/{environment}/{name}.yaml": content for (environment, name), content in applications.items()}
        files |= {f"{CHART}/{path}": content for path, content in chart.items()}
        self.write({str(PurePosixPath(prefix, path)): content for path, content in files.items()})

    def git(self, *words):
        return run(["git", *words], cwd=self.folder).stdout.strip()

    def commit(self):
        """Commit what is there, byte for byte; return the commit."""
        if not (self.folder / ".git").exists():
            self.git("init", "--quiet", "--initial-branch=main")
        self.git("-c", "core.autocrlf=false", "add", "--all")
        self.git("commit", "--quiet", "--message=Change")
        return self.git("rev-parse", "HEAD")


def with_applications(folder):
    """Make a repository with the corpus's applications, each in each environment of a project."""
    made = Repository(folder)
    made.project("", toml(), {}, PLAIN)
    first = made.commit()
    for branch in corpus.BRANCHES:
        made.git("update-ref", f"refs/remotes/origin/{branch}", first)
    for tag in corpus.TAGS:
        made.git("tag", tag, first)
    files = {name: corpus.at(content, first) for name, content in corpus.applications().items()}
    made.project("", toml(), {(each, name): file for each in ENVIRONMENTS for name, file in files.items()}, PLAIN)
    made.commit()
    return made


def with_charts(folder):
    """Make a repository with the corpus's charts, each in a project of its own in a folder of the chart's name."""
    made = Repository(folder)
    application = APPLICATION.replace("values: {}", 'values: {exampleModel: {replicas: 2, note: "1e3"}}')
    for name, content in corpus.charts().items():
        made.project(name, toml(more=KUBERNETES), {("live", name): application}, content)
    made.commit()
    return made


@dataclass(frozen=True)
class Found:
    """What the tool has of a project.

    Attributes:
        applications: By the Application's name, what it deploys, in the words of `said`.
        refused: By file, why it is refused.
        objects: By the Application's name, what is rendered of it.
        whole: Why nothing of the project is read.
    """

    applications: Mapping[str, Mapping]
    refused: Mapping[str, str]
    objects: Mapping[str, list] = field(default_factory=dict)
    whole: str = ""


def read(folder, helm=None):
    """Return what the tool has of a project's last commit.

    Args:
        folder: The project's.
        helm: Renders; without it nothing is rendered.
    """
    return anyio.run(_read, folder, helm)


async def _read(folder, helm):
    repository = await git.opened(folder)
    head = Snapshot(repository, await repository.commit_of("HEAD"), "main")
    try:
        own, source = await tree.project(head), await application_set.of(head)
        found = await change.everything(head)
    except CIError as error:
        return Found({}, {}, whole=error.message)
    refused, read, objects = dict(found.malformed), {}, {}
    for each in found.applications:
        content = (folder / own.paths.tree / each.environment / f"{each.name}.yaml").read_bytes()
        application = tree.read(own, each.environment, each.name, content)
        try:
            read[application.argo_name] = said_here(application, source, repository.prefix)
            if helm is not None:
                text = await render.render(head, helm, application, head.commit)
                objects[application.argo_name] = documents.parse(text)
        except CIError as error:
            read.pop(application.argo_name, None)
            refused[application.file] = error.message
    return Found(read, refused, objects)


def said_here(application, source, prefix):
    """Return what an application deploys."""
    cluster = application.place.cluster
    there = {"server": argocd.HERE} if cluster in (None, projects.IN_CLUSTER) else {"name": cluster}
    return {
        "destination": {**there, "namespace": application.namespace},
        "revision": application.release[tree.CHART[0]],
        "chart": str(PurePosixPath(prefix, application.project.paths.chart)),
        "release": application.name,
        "files": [str(PurePosixPath(prefix, file)) for file in source.files(application)],
        "ignoreMissing": source.ignore_missing,
        "values": render.values(application),
    }


def said(deployed):
    """Return what an Application of Argo CD's deploys, in the words of the tool."""
    spec = deployed["Application"]["spec"]
    source = spec["source"]
    helm = source["helm"]
    assert set(source) == {"repoURL", "path", "targetRevision", "helm"}, source
    assert set(helm) <= {"releaseName", "valueFiles", "values", "ignoreMissingValueFiles"}, helm
    files = (PurePosixPath("/", source["path"], each) for each in helm.get("valueFiles", ()))
    return {
        "destination": spec["destination"],
        "revision": source["targetRevision"],
        "chart": source["path"],
        "release": helm["releaseName"],
        "files": list(dict.fromkeys(str(each).removeprefix("/") for each in files)),
        "ignoreMissing": helm.get("ignoreMissingValueFiles", False),
        "values": deployed["Values"],
    }


def typed(value):
    """Tell 1 from true, which Python does not, and a number from text; JSON has one kind of number."""
    if isinstance(value, dict):
        return {key: typed(each) for key, each in value.items()}
    if isinstance(value, list):
        return [typed(each) for each in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return float, value if value in kubernetes_yaml.WHOLE else float(value)
    return type(value), value


def asked(top, prefix="", what="", environment=None):
    """A question to Argo CD's code; `what` names the Applications to render."""
    own = projects.load(top / prefix)
    place = own.environment(environment or own.names[-1])
    return {
        "Folder": str(top),
        "Set": (top / prefix / application_set.file_of(own)).read_text(),
        "Render": what,
        "KubeVersion": render.kube_version(place),
        "APIVersions": place.api_versions,
    }


def compared(ours, theirs):
    """Hold both against each other: nothing that Argo CD deploys is read otherwise, or overlooked."""
    by_name = {each["Application"]["metadata"]["name"]: each for each in theirs["Deployed"] or ()}
    for name, here in ours.applications.items():
        assert theirs["Error"] == "", (name, theirs["Error"])
        there = by_name.pop(name)
        assert typed(said(there)) == typed(here), name
        if name in ours.objects:
            assert there["Error"] == "", name
            assert typed(there["Objects"]) == typed(ours.objects[name]), name
    refused = {f"{file.parent.name}-{file.stem}" for file in map(PurePosixPath, ours.refused)}
    assert ours.whole or set(by_name) <= refused, "deployed, and not known here"


def require_same(deploys, helm, top, prefix=""):
    """Compare a whole project, rendered for the cluster of each of its environments."""
    ours = read(top / prefix, helm)
    assert ours.applications and not ours.refused, (ours.whole, ours.refused)
    names = projects.load(top / prefix).names
    for name, theirs in zip(names, deploys([asked(top, prefix, "*", each) for each in names]), strict=True):
        there = {key: found for key, found in ours.objects.items() if key.startswith(f"{name}-")}
        compared(replace(ours, objects=there), theirs)
