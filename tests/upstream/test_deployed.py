"""What Argo CD makes of a commit, by its own code, is what the tool reads and renders of it, or the tool refuses it.

Argo CD's side is deployed.go: generators and template of the ApplicationSet, then the repository server's
GenerateManifests with the pinned Helm.
"""

import shutil
from pathlib import Path, PurePosixPath

import pytest

from ci import project as projects
from ci.base.paths import ROOT
from ci.tree import application_set, render
from tests.harness import chart, corpus, deployed, upstream
from tests.harness.deployed import CHART, Repository, typed
from tests.stranger import project as strangers
from tests.unit.conftest import find_tool

@pytest.fixture(scope="module")
def helm():
    return find_tool("helm")


@pytest.fixture(scope="module")
def argo_cd(tmp_path_factory, helm):
    """Ask Argo CD's own code."""
    folder = tmp_path_factory.mktemp("go")
    return upstream.built(Path(__file__).with_name("deployed.go"), "argo-cd", folder, beside=[helm.parent])


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
        assert typed(deployed.said(there)) == typed(here), name
        if name in ours.objects:
            assert there["Error"] == "", name
            assert typed(there["Objects"]) == typed(ours.objects[name]), name
    refused = {f"{file.parent.name}-{file.stem}" for file in map(PurePosixPath, ours.refused)}
    assert ours.whole or set(by_name) <= refused, "deployed, and not known here"


def rendered(argo_cd, helm, top, prefix=""):
    """Compare a whole project, rendered in each of its environments' clusters."""
    ours = deployed.read(top / prefix, helm)
    assert ours.applications and not ours.refused, (ours.whole, ours.refused)
    names = projects.load(top / prefix).names
    for environment, theirs in zip(names, argo_cd([asked(top, prefix, "*", each) for each in names]), strict=True):
        of_it = {name for name, each in ours.objects.items() if name.startswith(f"{environment}-")}
        compared(
            deployed.Found(ours.applications, {}, {name: ours.objects[name] for name in of_it}),
            theirs,
        )


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return deployed.with_applications(tmp_path_factory.mktemp("files"))


def test_applications_as_people_write_them_are_what_argo_cd_makes_of_them(argo_cd, files):
    ours = deployed.read(files.folder)
    assert not ours.refused
    assert len(ours.applications) == len(corpus.applications()) * len(deployed.ENVIRONMENTS)
    (theirs,) = argo_cd([asked(files.folder)])
    compared(ours, theirs)


@pytest.fixture(scope="module")
def charts(tmp_path_factory):
    return deployed.with_charts(tmp_path_factory.mktemp("charts"))


def test_charts_as_people_write_them_render_to_what_argo_cd_makes_of_them(argo_cd, helm, charts):
    names = list(corpus.charts())
    ours = {name: deployed.read(charts.folder / name, helm) for name in names}
    assert not {name: found for name, found in ours.items() if found.refused or not found.objects}
    for name, theirs in zip(names, argo_cd([asked(charts.folder, name, "*") for name in names]), strict=True):
        compared(ours[name], theirs)


def test_the_strangers_project_is_what_argo_cd_makes_of_it(argo_cd, helm, tmp_path):
    stranger = strangers.made(tmp_path, strangers.drawn(18))
    rendered(argo_cd, helm, stranger.clone.folder, strangers.BELOW)
