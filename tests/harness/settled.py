"""A small remote and a clone of it, and the three ways in which a change of the tree is written from it."""

from dataclasses import dataclass
from pathlib import Path

import anyio

from ci.commands import writing
from ci.commands.writing import Destination
from ci.tree.writeback import Edit
from tests.harness import remote as remotes
from tests.harness.remote import FILE, Clone, Remote

NEW = "gitops/quarantine/sklearn-iris/é.yaml"
"""A file that comes with the change."""
ADDED = b"why: wrong answers\n"
MESSAGE = "Bump the model\n\nZwölf\n\nTool: ml-serving-ci bump\n"
WAYS = ("here", "push", "dry-run")


@dataclass
class World:
    """What a person has.

    Attributes:
        remote: A bare repository.
        clone: The person's.
        home: Of the person.
    """

    remote: Remote
    clone: Clone
    home: Path

    def configure(self, name, value, where="--global"):
        """Add a setting, of the person or of the clone."""
        env = {"GIT_CONFIG_GLOBAL": str(self.home / ".gitconfig")}
        remotes.run(["git", "config", where, "--add", name, value], cwd=self.clone.folder, env=env)

    def write(self, way, *, project=None, remote="origin", branch=None):
        """Write a change of one value and one new file, as the commands do."""
        project = project or self.clone.folder
        destination = Destination(project, remote, branch, way == "push", False, way == "dry-run")
        anyio.run(writing.write, destination, change, "dev/model")


async def change(snapshot):
    """The change, or none where it is there already."""
    if b'"2.0"' in await snapshot.read(FILE):
        return None
    return Edit(FILE, {("model", "version"): "2.0"}, MESSAGE, {NEW: ADDED})


def after(content):
    """What the file becomes."""
    return content.replace(b'"1.0"', b'"2.0"')


def made(root, content=None):
    """Make a remote with the tree alone, a clone of it, and a home without settings."""
    seed, home = root / "seed", root / "home"
    home.mkdir()
    file = seed / FILE
    file.parent.mkdir(parents=True)
    file.write_bytes(content if content is not None else remotes.application("dev").content)
    (seed / "other.yaml").write_text("a: 1\n")
    remote = remotes.published(seed, root)
    return World(remote, remote.clone("ours"), home)


def everything(folder):
    """Every ref of a repository with what it leads to, and where HEAD is."""
    form = "--format=%(refname) %(if)%(symref)%(then)%(symref)%(else)%(objectname)%(end)"
    refs = remotes.run(["git", "for-each-ref", form], cwd=folder).stdout
    return {*refs.splitlines(), remotes.run(["git", "symbolic-ref", "HEAD"], cwd=folder, check=False).stdout}


def status(clone):
    """What git says of a clone to its owner."""
    argv = ["git", "status", "--porcelain"]
    return remotes.run(argv, cwd=clone.folder, env={"GIT_CONFIG_GLOBAL": str(Path.home() / ".gitconfig")}).stdout
