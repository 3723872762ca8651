"""All that is judged of a project: each application as Argo CD would render it, and the chart's own values."""

import re
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import yaml

from ci import project as projects
from ci.base import fields
from ci.base.errors import UsageError
from ci.manifests import places, values
from ci.manifests.chart import DEFAULTS, Chart, Target, Values
from ci.project import Project
from ci.results import Finding
from ci.tree import application_set, contents, dependencies, git, render, tree, worktree
from ci.tree.application_set import HelmSource
from ci.tree.git import Repository
from ci.tree.tree import Application, Asked, Key
from ci.tree.worktree import File

MODEL = "exampleModel"
ELSEWHERE: Mapping[places.Path, places.Path] = {
    (MODEL, "storageUri"): ("model", "storageUri"),
    (MODEL, "digest"): ("model", "digest"),
    (MODEL, "image"): ("image",),
    (MODEL, "name"): ("model",),
}
"""What `render.values` puts over an application's own values, and where in its file that stands.

The name is the file's own, and has no line.
"""


@dataclass(frozen=True)
class Chosen:
    """What a person wants judged; all by default.

    Attributes:
        environment: One environment, or `DEFAULTS`.
        application: One application, in every environment that has it.
        defaults: Whether the chart's own values are judged, too.
        among: Applications, by environment and name, beside which nothing is judged.
    """

    environment: str | None = None
    application: str | None = None
    defaults: bool = True
    among: Collection[tree.Key] | None = None

    @property
    def whole(self) -> bool:
        """Whether all is judged."""
        return self.environment is None and self.application is None and self.among is None

    def require(self, project: Project) -> None:
        """Refuse an environment that is none, and a name that no application can have.

        Raises:
            UsageError: There is no such environment, or no such name.
        """
        if self.application is not None:
            tree.require_name(self.application)
        if self.environment is not None and not (self.defaults and self.environment == DEFAULTS):
            project.environment(self.environment)

    def has(self, environment: str, application: str | None) -> bool:
        """Tell whether something is judged."""
        if self.among is not None and (environment, application) not in self.among:
            return False
        return self.environment in (None, environment) and self.application in (None, application)

    def has_some(self, application: str) -> bool:
        """Tell whether an application is judged in any environment."""
        among = self.among is None or any(name == application for _, name in self.among)
        return among and self.application in (None, application)


@dataclass(frozen=True)
class Targets:
    """What is judged.

    Attributes:
        judged: In the environments' order.
        findings: What keeps the others from being judged.
        warnings: What is found of charts that are judged.
        applications: All of the project, judged or not, in the environments' order; None for one whose file is wrong.
        known: Every environment, and every application as ENV/APP; nothing, where not all of them are judged.
        folder: For whoever works on them; gone with them.
    """

    judged: Sequence[Target]
    findings: Sequence[Finding]
    warnings: Sequence[Finding]
    applications: Mapping[Key, Application | None]
    known: Collection[str]
    folder: Path


@asynccontextmanager
async def found(folder: Path, project: Project, chosen: Chosen, helm: Path) -> AsyncIterator[Targets]:
    """Have what is judged of a project.

    An application gets the chart of the work tree where it follows the branch that Argo CD watches, so a change of the
    chart is judged with it; else the chart of its revision, out of git. A file that is wrong is a finding, and the
    others are judged.

    Args:
        folder: The project's.
        project: The project.
        chosen: What of it.
        helm: The executable that builds what charts depend on.

    Raises:
        UsageError: There is no such environment, or no such application.
    """
    chosen.require(project)
    files = worktree.files(folder, project)
    applications = worktree.applications(folder, project)
    by_key = {key: file for file in files if (key := (file.environment, file.name)) in applications}
    clashes = {by_key[key]: by_key[other] for key, other in tree.clashes(by_key).items()}
    with tempfile.TemporaryDirectory(prefix="ml-serving-ci-") as work:
        source, wrong = await _source(folder, project)
        reader = _Reader(folder, project, applications, Path(work) / "git", source, helm, wrong)
        judged = await reader.defaults(chosen) if chosen.defaults and chosen.has(DEFAULTS, None) else []
        for file in files:
            if chosen.has(file.environment, file.name):
                judged += await reader.judged(file, clashes.get(file))
        if chosen.application is not None and not judged and not reader.findings:
            worktree.require_known(folder, project, Asked(chosen.application, chosen.environment))
        known = {*project.names, DEFAULTS, *(f"{file.environment}/{file.name}" for file in files)}
        yield Targets(judged, reader.findings, reader.warnings, applications, known if chosen.whole else (), Path(work))


async def _source(folder: Path, project: Project) -> tuple[HelmSource, list[Finding]]:
    """Return what the ApplicationSet of the work tree says of Helm, and what is wrong with it.

    Where there is none, or one that is refused, applications are judged by what the project file makes.
    """
    name = application_set.file_of(project)
    file = folder / name
    if not file.is_file():
        return application_set.made(project), []
    prefix = (await git.opened(folder)).prefix
    try:
        return application_set.read(file.read_bytes(), project, prefix), []
    except UsageError as error:
        return application_set.made(project, prefix), [placed("argocd", name, error)]


@dataclass
class _Reader:
    folder: Path
    project: Project
    applications: Mapping[Key, Application | None]
    work: Path
    source: HelmSource
    helm: Path
    findings: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)
    repository: Repository | None = None
    commits: dict[str, str] = field(default_factory=dict)  # by revision
    charts: dict[str, Chart | UsageError] = field(default_factory=dict)  # by git's name of the files
    contents: dict[str, str] = field(default_factory=dict)  # of values files, by git's name

    async def defaults(self, chosen: Chosen) -> list[Target]:
        """Return the chart's own values, as the work tree has them; none, and a finding, where it is wrong."""
        try:
            chart = await self._own_chart()
        except UsageError as error:
            self.findings.append(placed("tree", error.message.partition(":")[0], error))
            return []
        if chart is None:
            said = f"paths.chart: there is no {self.project.paths.chart}"
            self.findings.append(Finding("tree", projects.FILE, 0, said, "name the chart's folder"))
            return []
        name = PurePosixPath(self.project.paths.chart).name
        return [
            Target(
                DEFAULTS,
                None,
                name,
                name,
                chart,
                list(_own_values(chart)),
                kube_version=render.pinned_kubernetes(),
                asked_for=chosen.environment == DEFAULTS,
            )
        ]

    async def judged(self, file: File, same: File | None = None) -> list[Target]:
        """Return the target that a file makes; none, and a finding, where it is wrong.

        Args:
            file: The file.
            same: Another, whose Application Argo CD would call the same.
        """
        if file.environment not in self.project.names:
            said = f"{file.environment} is no environment: Argo CD does not deploy it"
            remedy = f"move it to one of {', '.join(self.project.names)}, or name the environment in {projects.FILE}"
            self.findings.append(Finding("tree", file.path, 0, said, remedy))
            return []
        if not tree.NAME.fullmatch(file.name):
            said = f"{file.name} is no name of an application"
            self.findings.append(Finding("tree", file.path, 0, said, tree.NAMED))
            return []
        if same is not None:
            said = tree.clash((file.environment, file.name), same.path)
            self.findings.append(Finding("tree", file.path, 0, said, "call one of the two something else"))
            return []
        try:
            return [await self._target(file)]
        except UsageError as error:
            self.findings.append(placed("tree", file.path, error))
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 0
            self.findings.append(Finding("tree", file.path, line, f"no YAML: {error.problem}", "correct the syntax"))
        except OSError as error:
            self.findings.append(Finding("tree", file.path, 0, str(error.strerror), "make it a file that can be read"))
        return []

    async def _target(self, file: File) -> Target:
        application = self.applications[file.environment, file.name]
        if application is None:  # it is read again for the one thing that is wrong
            content = (self.folder / file.path).read_bytes()
            application = tree.read(self.project, file.environment, file.name, content).checked()
        revision = application.release[tree.CHART[0]]
        text = application.content.decode("utf-8-sig")
        try:
            chart, further = await self._followed(application, revision)
        except UsageError as error:
            line = places.values_line(text, tree.CHART[0])
            raise UsageError(f"{file.path}:{line}: {error.message}", fix=error.fix) from error
        given = values.written(render.values(application))
        own = Values(file.path, text, given, ("values",), ELSEWHERE)
        self.warnings += _ineffective(application, text)
        target = Target(
            file.environment,
            file.name,
            file.name,
            application.namespace,
            chart,
            [own, *reversed(further), *_own_values(chart)],
            kube_version=render.kube_version(application.place),
            api_versions=application.place.api_versions,
            istio_cni=application.place.istio_cni,
        )
        for finding in _unread(application, text, target):
            (self.findings if finding.severity == "error" else self.warnings).append(finding)
        return target

    async def _followed(self, application: Application, revision: str) -> tuple[Chart, list[Values]]:
        """Return an application's chart, and the values files that Argo CD gives Helm, both at the chart's revision."""
        files = self.source.files(application)
        if revision == git.HEAD:
            await (await self._opened()).require_head(self.project.branch)
        if git.follows(revision, self.project.branch):
            chart = await self._own_chart()
            if chart is None:
                raise UsageError(f"chart.revision: there is no {self.project.paths.chart}", fix="Put the chart there.")
            contents.require_plain_files(self.folder, files)
            texts = {file: _text(self.folder / file) for file in files}
            return chart, self._values(texts, "")
        commit = await self._commit(revision)
        chart = await self._chart_at(commit, revision)
        return chart, self._values(await self._texts_at(commit, files), f"{commit[:12]}:")

    def _values(self, texts: Mapping[str, str | None], where: str) -> list[Values]:
        """Return those of some values files that are there.

        Raises:
            UsageError: Another one may not be left out.
        """
        for file, text in texts.items():
            if text is None and not self.source.ignore_missing:
                said = render.missing(self.project, file)
                raise UsageError(f"chart.revision: {said}", fix=f"Write {file}, or have the ApplicationSet say true.")
        return [Values(f"{where}{file}", text) for file, text in texts.items() if text is not None]

    async def _opened(self) -> Repository:
        self.repository = self.repository or await git.opened(self.folder)
        return self.repository

    async def _once(self, key: str, read: Callable[[], Awaitable[Chart]]) -> Chart:
        """Return a chart that is read once for all applications that have it.

        Raises:
            UsageError: It is refused, to each of them.
        """
        if key not in self.charts:
            try:
                self.charts[key] = await read()
            except UsageError as error:
                self.charts[key] = error
        found = self.charts[key]
        if isinstance(found, UsageError):
            raise UsageError(found.message, fix=found.fix)
        return found

    async def _own_chart(self) -> Chart | None:
        if not (self.folder / self.project.paths.chart).is_dir():
            return None
        return await self._once("", self._on_disk)

    async def _on_disk(self) -> Chart:
        """Return the chart of the work tree; one that declares dependencies as the commit would have it that has it."""
        name = self.project.paths.chart
        if not dependencies.declares(self.folder / name):
            contents.require_plain_folder(self.folder / name, name)
            return Chart(self.folder / name, name)
        objects, work = self.work / "objects", self.work / "own"
        objects.mkdir(parents=True)
        work.mkdir()
        repository = (await self._opened()).apart(objects)
        folders = dependencies.folders_on_disk(repository, self.folder, name)
        commit = await repository.commit_of("HEAD")
        tree_name = await worktree.written(repository, commit, [repository.at(each) for each in folders])
        await dependencies.require_plain(repository, tree_name, name)
        there = await dependencies.laid_out(repository, self.helm, tree_name, name, work)
        for each in await dependencies.left_out(repository, self.helm, tree_name, name, there):
            self.warnings.append(replace(placed("tree", each.message.partition(":")[0], each), severity="warning"))
        return Chart(there, name, _parts(repository, there, name))

    async def _commit(self, revision: str) -> str:
        if revision not in self.commits:
            found = await (await self._opened()).followed(revision)
            if found is None:
                said = f"chart.revision: git has no {revision}"
                fix = f"git fetch {git.REMOTE} {revision}; in a shallow clone, git fetch --unshallow"
                raise UsageError(said, fix=fix)
            self.commits[revision] = found
        return self.commits[revision]

    async def _chart_at(self, commit: str, revision: str) -> Chart:
        repository, path = await self._opened(), self.project.paths.chart
        files = await dependencies.identity(repository, commit, path)
        if files is None:
            raise UsageError(f"chart.revision: {revision} has no {path}", fix="Name a revision that has the chart.")
        work = self.work / files

        async def laid_out() -> Chart:
            await dependencies.require_plain(repository, commit, path)
            work.mkdir(parents=True)
            there = await dependencies.laid_out(repository, self.helm, commit, path, work)
            return Chart(there, f"{commit[:12]}:{path}", _parts(repository, there, path, f"{commit[:12]}:"))

        return await self._once(files, laid_out)

    async def _texts_at(self, commit: str, files: Sequence[str]) -> dict[str, str | None]:
        repository = await self._opened()
        there = await contents.values_files(repository, commit, files)
        for name in there.values():
            if name not in self.contents:
                (content,) = await repository.contents_of(name)
                self.contents[name] = content.decode(errors="replace")
        return {file: self.contents[there[file]] if file in there else None for file in files}


def _ineffective(application: Application, text: str) -> Iterator[Finding]:
    """Yield what an application's own values say of its set, in vain: what the set says is put over it.

    Args:
        application: The application.
        text: Its file.
    """
    given, deployed = ((each.get(MODEL) or {}) for each in (application.values, render.values(application)))
    for (*_, key), there in ELSEWHERE.items():
        if key in given and given[key] != deployed[key]:
            line = places.values_line(text, ("values", MODEL, key))
            says = "the file's name" if key == "name" else ".".join(map(str, there))
            said = f"values.{MODEL}.{key}: changes nothing, {says} says what is deployed: {deployed[key]}"
            yield Finding("tree", application.file, line, said, "remove it", "warning")


def _unread(application: Application, text: str, target: Target) -> Iterator[Finding]:
    """Yield the keys of an application's file that nothing reads: it is deployed without them.

    It may be what a program of theirs reads: a warning, but for one that is the chart's, and belongs below values.

    Args:
        application: The application.
        text: Its file.
        target: What is judged of it.
    """
    for way, known in application.unread:
        key = str(way[-1])
        meant = next((each for each in ((key,), (MODEL, key)) if len(way) == 1 and _has(target, each)), None)
        near = fields.nearest(key, known)
        said = f"{tree.dotted(way)}: {fields.unknown(key, known) if meant is None else 'unknown key'}: nothing reads it"
        if meant is not None:
            remedy = f"did you mean {tree.dotted(('values', *meant))}"
        elif near:
            remedy = f"call it {near}, or remove it"
        else:
            aside = f"; a note of your own may be called {tree.ASIDE}{key}" if len(way) == 1 else ""
            remedy = f"remove it, or write what the chart is to read of it below values{aside}"
        line = places.values_line(text, way)
        yield Finding("tree", application.file, line, said, remedy, "warning" if meant is None else "error")


def _has(target: Target, path: places.Path) -> bool:
    """Tell whether values have a key; values that are not read are for Helm to tell."""
    try:
        return target.value(path) is not None
    except UsageError:
        return False


def _parts(repository: Repository, there: Path, chart: str, where: str = "") -> dict[str, Chart]:
    """Return the charts that one depends on, as `Chart` has them.

    Args:
        repository: Has it.
        there: Where `dependencies.laid_out` put it.
        chart: Its folder in the project.
        where: What findings say before the path of a file that git has.
    """
    found = dependencies.parts(repository, there, chart)
    return {place: Chart(folder, f"{where}{name}") for place, (name, folder) in found.items()}


def _own_values(chart: Chart) -> Iterator[Values]:
    """Yield the chart's own values."""
    yield Values(f"{chart.name}/values.yaml", _text(chart.folder / "values.yaml") or "")


def _text(file: Path) -> str | None:
    return file.read_text(errors="replace") if file.is_file() else None


def placed(check: str, file: str, error: UsageError) -> Finding:
    """Return what is wrong with a file, whose name the error begins with, as a finding.

    Args:
        check: Whose finding it is.
        file: The file, from the project's folder.
        error: What is wrong.
    """
    place = re.match(rf"{re.escape(file)}(?::(\d+))?: ", error.message)
    line = int(place[1]) if place and place[1] else 0
    said = error.message[place.end() :] if place else error.message
    return Finding(check, file, line, said, error.fix or "correct the file")
