"""What a chart is made of: its own folder, and the charts of the same repository that it depends on.

Helm decides, called as Argo CD calls it. Argo CD renders a chart; where Helm misses dependencies in `charts/`, it runs
`helm dependency build` in the chart's folder of its checkout and renders again (helmTemplate in argo-cd's
reposerver/repository/repository.go). Helm packs what `file://` leads to as it is there: of the dependencies that such a
chart names itself, it takes those that are in a `charts/` of that chart's own, and leaves out the others.

A folder that `file://` leads to counts as a part of the chart, also where Helm does not need it because the dependency
is in `charts/`: which of the two it is, Helm alone knows.
"""

import posixpath
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ci.base import command
from ci.base.errors import UsageError
from ci.base.text import one_line
from ci.manifests import kubernetes_yaml, places
from ci.tree import contents
from ci.tree.git import AS_COMMITTED, COMMIT, Repository

DECLARING = ("Chart.yaml", "requirements.yaml")
"""Files of a chart that name dependencies; the second is that of Helm 2, which Helm still reads."""
LOCKS = ("Chart.lock", "requirements.lock")
LOCAL = "file://"
MISSING = "found in Chart.yaml, but missing in charts/ directory"
"""What Helm says where Argo CD has dependencies built (IsMissingDependencyErr in argo-cd's util/helm/helm.go)."""
OUT_OF_SYNC = "is out of sync with"
MARKER = ".argocd-helm-dep-up"
"""What Argo CD leaves in a chart that it has built dependencies of, where templates can read it."""
HOME = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "HELM_CONFIG_HOME")
"""Where Helm has a person's repositories, which it would ask."""
SECONDS = 60
_known: dict[tuple[Path, str, str], "list[Dependency]"] = {}
"""What `_declared` found, by repository, commit or tree, and chart: these stay what they are."""


class NotBuiltError(UsageError):
    """A chart depends on what no commit has, or on what Helm does not take."""


@dataclass(frozen=True)
class Dependency:
    """A dependency that a chart names.

    Attributes:
        name: The chart's that it is.
        repository: Where Helm gets it; empty where it is in `charts/`.
        place: File and line that name it.
        alias: What it is called in that chart; empty where by its own name.
    """

    name: str
    repository: str
    place: str
    alias: str = ""

    def folder(self, chart: str) -> str | None:
        """Return the folder that it is got from, as Helm finds it; None where it is none of the repository's.

        Args:
            chart: The chart's folder, from the top of the repository, as the result is.
        """
        path = self.repository.removeprefix(LOCAL)
        if path == self.repository or path.startswith("/"):
            return None
        found = PurePosixPath(posixpath.normpath(posixpath.join(chart, path)))
        return None if ".." in found.parts else str(found)

    def refusal(self, said: str, fix: str) -> NotBuiltError:
        """Return the error that names it."""
        return NotBuiltError(f"{self.place}: dependency {self.name}: {said}", fix=fix)


async def folders(repository: Repository, revision: str, chart: str) -> tuple[str, ...]:
    """Return the folders of a revision that a chart is made of, its own first; those that are not there are left out.

    Args:
        repository: Has the revision.
        revision: Hash of a commit, or of a whole tree.
        chart: The chart's folder in the project; paths of the result are from there as well.
    """
    apart = _apart(repository, chart, await _declared(repository, revision, chart))
    there = [each for each in apart if await contents.folder_at(repository, revision, each) is not None]
    return chart, *there


def declares(chart: Path) -> bool:
    """Tell whether a chart on disk names dependencies."""
    return bool(_read(_texts(chart), ""))


def folders_on_disk(repository: Repository, root: Path, chart: str) -> tuple[str, ...]:
    """Return what `folders` does of the work tree, whether they are there or not.

    Args:
        repository: Has the work tree.
        root: The project's folder.
        chart: The chart's folder in the project.
    """
    return chart, *_apart(repository, chart, _read(_texts(root / chart), chart))


def parts(repository: Repository, there: Path, chart: str) -> dict[str, tuple[str, Path]]:
    """Return the dependencies that are files of the repository: where Helm has each in the chart, and its two folders.

    One folder is that in the project, the other where it is on disk.

    Args:
        repository: Has the chart.
        there: Where `laid_out` put it.
        chart: The chart's folder in the project.
    """
    own = repository.at(chart)
    top, found = Path(str(there).removesuffix(own)), {}
    for each in _read(_texts(there), chart):
        unpacked = f"{own}/charts/{each.name}"
        folder = unpacked if (top / unpacked).is_dir() else each.folder(own)
        if folder is not None and (top / folder).is_dir():
            found[f"charts/{each.alias or each.name}"] = repository.own(folder), top / folder
    return found


def _texts(chart: Path) -> dict[str, bytes]:
    return {name: file.read_bytes() for name in DECLARING if (file := chart / name).is_file()}


async def identity(repository: Repository, revision: str, chart: str) -> str | None:
    """Return git's name for all that a chart is made of: the same for the same files; None where there is no chart.

    It is the name of the chart's folder; where dependencies are in other folders, that of a tree with these folders
    alone, each where it is in the repository.

    Args:
        repository: Has the revision.
        revision: Hash of a commit, or of a whole tree.
        chart: The chart's folder in the project.
    """
    made_of = await folders(repository, revision, chart)
    if len(made_of) == 1:
        _, name = (await repository.listing(revision)).at(repository.at(chart)) or ("", None)
        return name
    with tempfile.TemporaryDirectory() as work:
        apart = repository.apart(Path(work))
        index = await _index(apart, revision, made_of, Path(work))
        return (await apart.run("write-tree", "--missing-ok", env=index)).stdout.strip()


async def require_plain(repository: Repository, revision: str, chart: str) -> None:
    """Refuse a chart that is more than files, in one of the folders that it is made of.

    Raises:
        UsageError: As for `contents.require_plain`.
    """
    for folder in await folders(repository, revision, chart):
        await contents.require_plain(repository, revision, folder, deployed=folder == chart)


async def laid_out(repository: Repository, helm: Path, revision: str, chart: str, folder: Path) -> Path:
    """Write a chart of a revision below an empty folder with all that it is made of, and have its dependencies built.

    Args:
        repository: Has the revision.
        helm: The executable.
        revision: A commit, or a whole tree.
        chart: The chart's folder in the project.
        folder: The empty one, which is to the result what the top of the repository is to the chart.

    Raises:
        NotBuiltError: Helm misses a dependency that no commit has, or that is not what the chart asks for.
    """
    there = await written(repository, revision, chart, folder)
    await build(repository, helm, revision, chart, there)
    return there


async def written(repository: Repository, revision: str, chart: str, folder: Path) -> Path:
    """Do what `laid_out` does, but for building dependencies."""
    index = await _index(repository, revision, await folders(repository, revision, chart), folder)
    await repository.run(*AS_COMMITTED, "checkout-index", "--all", f"--prefix={folder}/", env=index)
    return folder / repository.at(chart)


async def build(repository: Repository, helm: Path, revision: str, chart: str, there: Path) -> None:
    """Have a chart's dependencies built as Argo CD has it done; nothing is where Helm finds them in `charts/`.

    Args:
        repository: Has the revision.
        helm: The executable.
        revision: What the chart is of.
        chart: The chart's folder in the project.
        there: Where `written` put it.

    Raises:
        NotBuiltError: As for `laid_out`.
    """
    declared = await _declared(repository, revision, chart)
    if not declared:
        return
    asked = await command.run([helm, "template", "x", there], check=False, timeout=SECONDS)
    if MISSING not in asked.stderr:
        return
    for each in declared:
        await _require_local(repository, revision, chart, each)
    with tempfile.TemporaryDirectory() as home:
        words: list[str | Path] = [helm, "dependency", "build", there]
        built = await command.run(words, check=False, env=dict.fromkeys(HOME, home), timeout=SECONDS)
    if built.returncode:
        raise _not_built(built.stderr, declared, chart, there)
    (there / MARKER).write_text("marker")


async def left_out(repository: Repository, helm: Path, revision: str, chart: str, there: Path) -> list[NotBuiltError]:
    """Return what the charts that a chart depends on name and do not have: Argo CD deploys without it.

    Args:
        repository: Has the revision.
        helm: The executable.
        revision: What the chart is of.
        chart: The chart's folder in the project.
        there: Where `laid_out` put it.
    """
    top, found = Path(str(there).removesuffix(repository.at(chart))), []
    for folder in (await folders(repository, revision, chart))[1:]:
        listed = await command.run([helm, "dependency", "list", top / repository.at(folder)], timeout=SECONDS)
        missing = {words[0] for line in listed.stdout.splitlines() if (words := line.split())[-1:] == ["missing"]}
        for each in await _declared(repository, revision, folder):
            if each.name in missing:
                said = f"is not in {folder}/charts, and Helm builds none of a dependency's own: it is left out"
                found.append(each.refusal(said, f"helm dependency update {folder}, and commit {folder}/charts"))
    return found


async def _require_local(repository: Repository, revision: str, chart: str, dependency: Dependency) -> None:
    """Refuse a dependency that Helm would get from elsewhere than the revision."""
    vendored = f"helm dependency update {chart}, and commit {chart}/charts"
    if not dependency.repository:  # has to be in charts/, which Helm looks at
        return
    if not dependency.repository.startswith(LOCAL):
        said = f"Argo CD would get it from {dependency.repository}, and what that answers is no commit's"
        raise dependency.refusal(said, vendored)
    folder = dependency.folder(repository.at(chart))
    if folder is None:
        raise dependency.refusal(f"{dependency.repository} is outside of the repository", vendored)
    path = repository.own(folder)
    if PurePosixPath(repository.at(chart)).is_relative_to(folder):
        raise dependency.refusal(f"{path} has the chart itself in it", "Put the two into folders of their own.")
    try:
        found = await contents.folder_at(repository, revision, path, plain=True)
    except UsageError as error:
        raise dependency.refusal(error.message, error.fix or vendored) from error
    if found is None:
        raise dependency.refusal(f"there is no folder {path}", f"git add {path}, or {vendored}")


def _not_built(printed: str, declared: list[Dependency], chart: str, there: Path) -> NotBuiltError:
    """Return why Helm builds no dependencies, at the one that it names, or at the lock."""
    said = next((line for line in printed.splitlines() if line.startswith("Error: ")), printed)
    said = one_line(said).removeprefix("Error: ").replace(f"{there}/", f"{chart}/")
    again = f"helm dependency update {chart}"
    lock = next((name for name in LOCKS if (there / name).is_file()), None)
    if OUT_OF_SYNC in said and lock is not None:
        line = places.values_line((there / lock).read_text(errors="replace"), ("digest",))
        return NotBuiltError(f"{chart}/{lock}:{line}: {said}", fix=f"{again}, and commit {chart}/{lock}")
    named = next((each for each in declared if each.name in said), declared[0])
    return named.refusal(f"Helm does not build it: {said}", f"Correct it, then {again}")


async def _declared(repository: Repository, revision: str, chart: str) -> list[Dependency]:
    key = repository.folder, revision, chart
    if key in _known:
        return _known[key]
    listed = (await repository.listing(revision)).within(repository.at(chart))
    there = {name: listed[name][1] for name in DECLARING if name in listed}
    texts = await repository.contents_of(*there.values()) if there else []
    found = _read(dict(zip(there, texts, strict=True)), chart)
    if COMMIT.fullmatch(revision):
        _known[key] = found
    return found


def _read(texts: Mapping[str, bytes], chart: str) -> list[Dependency]:
    """Return the dependencies that a chart's files name; none of one that Helm does not read either."""
    return [each for name, content in texts.items() for each in _of_file(content, f"{chart}/{name}")]


def _of_file(content: bytes, file: str) -> Iterator[Dependency]:
    try:
        _, text = kubernetes_yaml.decoded(content, file)
        first, *_ = *kubernetes_yaml.documents(text, file), None
    except UsageError:
        return
    listed = _keys(first).get("dependencies")
    for number, each in enumerate(listed if isinstance(listed, list) else ()):
        line, keys = places.values_line(text, ("dependencies", number)), _keys(each)
        place = f"{file}:{line}" if line else file
        repository, alias = (str(keys.get(key) or "") for key in ("repository", "alias"))
        yield Dependency(str(keys.get("name")), repository, place, alias)


def _keys(value: Any) -> dict[str, Any]:
    """Return a mapping's values by its keys as Go reads JSON into a type: whatever their case, the last one counts."""
    return {str(key).casefold(): value[key] for key in sorted(value)} if isinstance(value, Mapping) else {}


def _apart(repository: Repository, chart: str, declared: Iterable[Dependency]) -> list[str]:
    """Return the folders outside of a chart's own that dependencies are in, those inside of others left out."""
    own = PurePosixPath(repository.at(chart))
    found = {PurePosixPath(folder) for each in declared if (folder := each.folder(str(own))) is not None}
    found = {each for each in found if not each.is_relative_to(own) and not own.is_relative_to(each)}
    return [repository.own(str(each)) for each in sorted(found) if not found.intersection(each.parents)]


async def _index(repository: Repository, revision: str, made_of: Iterable[str], folder: Path) -> dict[str, str]:
    """Return the variables of an index in a folder that has these folders of a revision."""
    index = {"GIT_INDEX_FILE": str(folder / "index"), "GIT_WORK_TREE": str(folder)}
    for each in made_of:
        path = repository.at(each)
        await repository.run("read-tree", f"--prefix={path}/", f"{revision}:{path}", env=index)
    return index
