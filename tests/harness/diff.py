"""A repository with a change in it, and objects, for the tests of ci/diff."""

from dataclasses import dataclass

import anyio

from ci import project
from ci.base import paths
from ci.diff import compare, sides
from ci.diff.sides import Placed, Side
from ci.tree import argocd, git
from ci.tree.git import Repository, Snapshot
from tests.harness import remote as remotes
from tests.harness.remote import Clone

CHART = "helm/charts/ml-serving"
TEMPLATES = f"{CHART}/templates"
PATCH = "k8s/argocd/patches/argocd-cm.yaml"


@dataclass(frozen=True)
class Change:
    """A clone on a branch of its own, made from a main on which staging and prod are pinned to main's first chart."""

    clone: Clone

    def edit(self, path, old, new):
        file = self.clone.folder / path
        text = file.read_text()
        assert text.count(old) == 1, (path, text.count(old))
        file.write_text(text.replace(old, new))

    def write(self, path, text):
        file = self.clone.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def commit(self):
        self.clone.git("add", "--all")
        self.clone.git("commit", "--quiet", "--message=Change")
        return self.clone.git("rev-parse", "HEAD")

    def difference(self, *environments, base=None, commit=True):
        """Commit what was changed and return what that does."""
        if commit:
            self.commit()

        async def compared():
            repository = await git.opened(self.clone.folder)
            both = await sides.both(repository, base, "origin", environments or ())
            return compare.compare(*both)

        return anyio.run(compared)


def made(root):
    """Make the repository."""
    clone = remotes.made(root).clone("ours")
    change = Change(clone)
    for path, text in argocd.render(project.load(clone.folder)).items():
        change.write(path, text.decode())
    change.write(PATCH, "data:\n  resource.customizations: |\n    local missing = {}\n")
    first = clone.git("rev-parse", "HEAD")
    for environment in ("staging", "prod"):
        file = clone.folder / "gitops" / environment / "sklearn-iris.yaml"
        lines = [f"  revision: {first}" if "  revision:" in line else line for line in file.read_text().splitlines()]
        file.write_text("\n".join(lines) + "\n")
    change.commit()
    clone.git("push", "--quiet", "origin", "main")
    clone.git("checkout", "--quiet", "-b", "change")
    return change


def of_objects(before, after, place="dev/iris"):
    """Return the difference of two sets of objects, without git or Helm."""
    repository = Repository(paths.ROOT, paths.ROOT, (), {})
    both = [
        Side(Snapshot(repository, commit * 40, "main"), {}, {place: [Placed(each) for each in objects]})
        for commit, objects in (("a", before), ("b", after))
    ]
    return compare.compare(*both)


def config(name="settings", **fields):
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "models"},
        "data": {"mode": "fast"},
        **fields,
    }


def service(name="iris", *, labels=None, annotations=None, model=None, **predictor):
    """An InferenceService."""
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name, "namespace": "models", "labels": labels or {}, "annotations": annotations or {}},
        "spec": {
            "predictor": {"minReplicas": 0, **predictor, "model": {"storageUri": "s3://models/v1", **(model or {})}}
        },
    }


def rollout(name="iris", **spec):
    """The Rollout that takes its pods from the InferenceService's Deployment."""
    workload = {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"{name}-predictor", "scaleDown": "never"}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": f"{name}-predictor", "namespace": "models"},
        "spec": {"workloadRef": workload, "strategy": {"canary": {"steps": [{"setWeight": 20}]}}, **spec},
    }


def made_by(pods):
    """A Service of the chart, which says what this version of it makes of the same values; an old one says nothing."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "iris-predictor-stable",
            "namespace": "models",
            "annotations": {"ml-serving/pods": pods} if pods else {},
        },
    }
