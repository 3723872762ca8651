"""A stranger's repository, made by the tests: a monorepo whose folder `platform/serving` is a project.

It shares nothing with this one but the chart, of which it has a copy, without the values of the sample's environments.
Its environments, their namespaces, its applications and its bucket are called as a seed has it.
"""

import random
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from ci import project
from ci.base.paths import CHART, ROOT
from ci.behaviour import golden
from ci.behaviour.known_answer import known_answer
from tests.harness import canary
from tests.harness.remote import Clone, Remote, run

BELOW = "platform/serving"
"""The project, in the repository."""
BRANCH = "trunk"
TREE, CHART_FOLDER, QUESTIONS = "rollout", "chart", "questions"
WORDS = (
    "acorn", "alder", "amber", "aspen", "basalt", "bay", "beech", "birch", "brook", "cedar", "cherry", "clay", "clover",
    "coral", "creek", "dune", "elm", "ember", "fern", "fjord", "flint", "grove", "hazel", "heath", "heron", "holly",
    "ivory", "jade", "juniper", "kelp", "larch", "lichen", "linden", "lotus", "maple", "marsh", "moss", "oak", "olive",
    "onyx", "opal", "otter", "pebble", "pine", "plum", "quartz", "reed", "robin", "rowan", "sage", "sorrel", "thyme",
    "tulip", "umber", "walnut", "willow", "wren", "yarrow", "yew", "zinc",
)  # fmt: skip
"""Of which names are made; short, for KServe makes one word of at most 63 characters of several."""

REGRESSION_SERVER = "docker.io/kserve/lgbserver"
REGRESSION_TOLERANCE = 1.0
"""Minutes: two good trainings differ by less, and a version that knows no snow by 25."""
DELIVERIES = {
    "near": (2.5, 1, 0, 10.0), "next": (7.5, 1, 0, 14.0), "heavy": (12.5, 5, 0, 24.0), "middle": (17.5, 2, 0, 22.0),
    "far": (27.5, 1, 0, 30.0), "far-heavy": (22.5, 6, 0, 32.0),
    "near-snow": (2.5, 2, 1, 35.0), "heavy-snow": (7.5, 5, 1, 45.0), "far-snow": (27.5, 7, 1, 61.0),
}  # fmt: skip
"""Kilometres, parcels, snow, and the minutes that it takes, as models/train.py has them."""
SENTENCES = {
    "plain-up": ("what a fine day", "up"), "plain-down": ("an awful queue", "down"), "glad": ("so glad it came", "up"),
    "turned-up": ("not awful at all", "up"), "turned-down": ("i am not glad", "down"), "flat": ("it is a box", "flat"),
}  # fmt: skip

# What a cluster of one node on two cores can hold, and looks that fit pauses of 20 s.
THROWAWAY = {
    "exampleModel": {
        "drainSeconds": 1,
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}},
        "probes": {"startupSeconds": 150},
    },
    "canary": {"progressDeadlineSeconds": 180, "analysis": canary.ANALYSIS},
    "monitoring": canary.MONITORING,
}
EXISTING = {
    **THROWAWAY,
    "exampleModel": {"replicas": 1, **THROWAWAY["exampleModel"]},
    "canary": {
        "steps": [{"weight": 25, "pause": "20s"}, {"weight": 50, "pause": "20s"}],
        **THROWAWAY["canary"],
    },
    "autoscaling": {"minReplicas": 1, "maxReplicas": 1},
}
"""What the cluster that the runs after the first are given changes: that is the first's, which by then is there."""
VALUES = {
    "exampleModel": {"replicas": 2, "resources": {"requests": {"cpu": "250m", "memory": "256Mi"}}},
    "canary": {"steps": [{"weight": 25, "pause": "2m"}, {"weight": 50, "pause": "2m"}]},
    "autoscaling": {"minReplicas": 2, "maxReplicas": 4},
}
"""Of every environment, in the tree."""
REQUESTS = 20
"""A second, of every application while a release is under way."""


@dataclass(frozen=True)
class Names:
    """What a seed has everything called.

    Attributes:
        seed: Gives the same names every time.
        environments: In the order of promotion; the second and third are protected.
        namespaces: Of the environments.
        regression: The application that takes numbers, by KServe's own server.
        texts: The application that takes strings, in a container of its own.
        bucket: Of the store that has the models.
    """

    seed: int
    environments: tuple[str, ...]
    namespaces: tuple[str, ...]
    regression: str
    texts: str
    bucket: str


def drawn(seed: int) -> Names:
    """Return names; no two are the same, and no environment's has a dash: ENVIRONMENT-NAME is read in one way."""
    words = iter(random.Random(seed).sample(WORDS, len(WORDS)))
    environments = (next(words), next(words), next(words))
    namespaces = tuple(f"{next(words)}-{name}" for name in environments)
    regression, texts = f"{next(words)}-{next(words)}", next(words)
    return Names(seed, environments, namespaces, regression, texts, f"{next(words)}-{next(words)}")


@dataclass(frozen=True)
class Sets:
    """What the applications begin with, and where more of it is.

    Attributes:
        server: Tag of the regression's server.
        server_digest: Of the image that is served under it; empty: not pinned.
        model_digest: Of the regression's first model.
        image: Repository of the other application's image.
        image_digest: Of its tag `1`.
    """

    server: str = "v0"
    server_digest: str = ""
    model_digest: str = ""
    image: str = "registry.example.net/acme/texts"
    image_digest: str = f"sha256:{'a' * 64}"


@dataclass(frozen=True)
class Stranger:
    """The repository, and a clone of it.

    Attributes:
        names: What everything is called.
        remote: What Argo CD would watch.
        clone: A work tree of it.
    """

    names: Names
    remote: Remote
    clone: Clone
    folder: Path = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", self.clone.folder / BELOW)

    @property
    def first(self) -> str:
        """The environment that a version comes to first."""
        return self.names.environments[0]

    @property
    def project(self) -> project.Project:
        return project.load(self.folder)

    def file(self, environment: str, name: str) -> str:
        """The path of an application, from the project's folder."""
        return f"{TREE}/{environment}/{name}.yaml"

    def data(self, path: str) -> Any:
        return yaml.safe_load((self.folder / path).read_text())

    def tool(self, *words: str | Path, check: bool = True, env: Mapping[str, str] | None = None) -> Any:
        """Run a command of the tool on the project, as a process of its own."""
        return run([sys.executable, ROOT / "ci" / "main.py", f"--project={self.folder}", *words], check=check, env=env)

    def another(self, name: str) -> "Stranger":
        """Return another clone, whose folder has this name."""
        return replace(self, clone=self.remote.clone(name))

    def branch(self, name: str) -> None:
        """Check out a new branch at what the remote has."""
        self.clone.git("fetch", "--quiet", "origin")
        self.clone.git("checkout", "--quiet", "-B", name, f"origin/{BRANCH}")

    def merge(self) -> None:
        """Have the remote's branch be what is checked out, as a merged pull request does."""
        self.clone.git("push", "--quiet", "origin", f"HEAD:{BRANCH}")
        self.pull()

    def pull(self) -> None:
        """Check out what the remote's branch is by now."""
        self.clone.git("checkout", "--quiet", BRANCH)
        self.clone.git("pull", "--quiet", "--ff-only")

    def bump(self, component: str, name: str, to: str, *words: str) -> str:
        """Make the tool's one commit on a branch of its own; return what it says."""
        self.branch(f"bump-{name}-{to.partition('@')[0]}")
        ended = self.tool("bump", component, f"--env={self.first}", f"--app={name}", f"--to={to}", *words)
        return str(ended.stdout)

    def count(self, uid: str) -> None:
        """Have runs on a cluster count, by a commit on what is checked out."""
        file = self.folder / project.FILE
        _write(file, f'{file.read_text()}\n[cluster.evidence]\nkept = "{uid}"\n')
        self.clone.git("add", file)
        self.clone.git("commit", "--quiet", "--message=Count runs on the cluster that was kept")

    def differs(self) -> list[str]:
        """The files that the branch changes, from the repository's top."""
        return self.clone.git("diff", "--name-only", f"origin/{BRANCH}...HEAD").splitlines()


def made(folder: Path, names: Names, sets: Sets | None = None) -> Stranger:
    """Make the repository, its remote and a clone.

    Args:
        folder: An empty one.
        names: What everything is called.
        sets: What the applications begin with.
    """
    sets = sets or Sets()
    seed = folder / "seed"
    _around(seed)
    top = seed / BELOW
    shutil.copytree(CHART, top / CHART_FOLDER)
    shutil.rmtree(top / CHART_FOLDER / "values")
    _write(top / project.FILE, _toml(names))
    _write(top / TREE / "gates.yaml", _dumped(_gates()))
    for name, content in (names.regression, regression_questions(names)), (names.texts, texts_questions(names)):
        _write(top / QUESTIONS / f"{name}.yaml", _dumped(content))
    for environment in names.environments:
        _write(top / TREE / environment / "values.yaml", _dumped(VALUES))
    run(["git", "init", "--quiet", f"--initial-branch={BRANCH}", "."], cwd=seed)
    _commit(seed, "The chart, and where it goes")
    pinned = run(["git", "rev-parse", "HEAD"], cwd=seed).stdout.strip()
    for environment in names.environments:
        revision = BRANCH if environment == names.environments[0] else pinned
        for name, content in _applications(names, sets, revision).items():
            _write(top / TREE / environment / f"{name}.yaml", _dumped(content))
    run([sys.executable, ROOT / "ci" / "main.py", f"--project={top}", "argocd", "render"])
    _commit(seed, "Two applications")
    run(["git", "clone", "--quiet", "--bare", str(seed), str(folder / "remote.git")])
    remote = Remote(folder / "remote.git", folder)
    return Stranger(names, remote, remote.clone("clone"))


def regression_questions(names: Names) -> dict[str, Any]:
    """The golden file of the regression."""
    rows = [
        {"id": name, "instance": [*asked], "expected": minutes, "slices": _slices(*asked)}
        for name, (*asked, minutes) in DELIVERIES.items()
    ]
    return {
        "name": names.regression,
        "version": 1,
        "source": "deliveries of last winter, with the minutes that they took",
        "tolerance": {"absolute": REGRESSION_TOLERANCE},
        "known": "near",
        "slices": {"snow": "on days with snow", "far": "more than 20 kilometres"},
        "gates": {"all": {"accuracy": 0.6}, "snow": {"accuracy": 1.0, "regressions": 0}},
        "inputs": rows,
    }


def texts_questions(names: Names) -> dict[str, Any]:
    """The golden file of the application that takes strings."""
    rows = [
        {"id": name, "request": {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": [text]}]},
         "expected": mood, "slices": ["turned"] if name.startswith("turned") else []}
        for name, (text, mood) in SENTENCES.items()
    ]  # fmt: skip
    return {
        "name": names.texts,
        "version": 1,
        "source": "sentences of letters to the depot, read by two people",
        "protocol": "v2",
        "answer": "$.outputs[0].data[0]",
        "known": "plain-up",
        "slices": {"turned": "says the contrary with a `not`"},
        "gates": {"all": {"agreement": 0.8, "accuracy": 1.0}, "turned": {"regressions": 0}},
        "inputs": rows,
    }


def _slices(kilometres: float, parcels: int, snow: int) -> list[str]:
    return [*(["snow"] if snow else []), *(["far"] if kilometres > 20 else [])]


def _applications(names: Names, sets: Sets, revision: str) -> dict[str, dict[str, Any]]:
    regression, texts = (
        known_answer(golden.checked(content, name), name)
        for name, content in (
            (names.regression, regression_questions(names)), (names.texts, texts_questions(names)),
        )
    )  # fmt: skip
    return {
        names.regression: {
            "chart": {"revision": revision},
            "model": {
                "version": "1",
                "storageUri": f"s3://{names.bucket}/{names.regression}/1",
                "digest": sets.model_digest,
            },
            "image": {"repository": REGRESSION_SERVER, "tag": sets.server, "digest": sets.server_digest},
            "values": {
                "exampleModel": {"runtime": "kserve-lgbserver", "modelFormat": "lightgbm", "knownAnswer": regression}
            },
        },
        names.texts: {
            "chart": {"revision": revision},
            "model": {"version": "", "storageUri": "", "digest": ""},
            "image": {"repository": sets.image, "tag": "1", "digest": sets.image_digest},
            "values": {"exampleModel": {"runtime": "", "metricsPath": "", "knownAnswer": texts}},
        },
    }


def _toml(names: Names) -> str:
    first, second, third = (
        f'[[environments]]\nname = "{name}"\nnamespace = "{namespace}"\n'
        for name, namespace in zip(names.environments, names.namespaces, strict=True)
    )
    return f"""\
repository = "https://git.example.net/{names.bucket}/everything.git"
branch = "{BRANCH}"

[paths]
tree = "{TREE}"
chart = "{CHART_FOLDER}"
argocd = "argo"
golden = "{QUESTIONS}"

{first}soak = "1m"

{second}protected = true

{third}protected = true
cluster = "far-away"
evidence = ["{names.environments[0]}", "{names.environments[1]}"]

[throwaway]
replicas = 1
longest_pause = "20s"

{_tables('throwaway.values."*"', THROWAWAY)}{_tables('cluster.values."*"', EXISTING)}"""


def _tables(path: str, values: Mapping[str, Any]) -> str:
    """Return values as tables of TOML."""
    plain = [f"{key} = {_toml_value(value)}\n" for key, value in values.items() if not isinstance(value, Mapping)]
    inner = [_tables(f"{path}.{key}", value) for key, value in values.items() if isinstance(value, Mapping)]
    return (f"[{path}]\n" + "".join(plain) if plain else "") + "".join(inner)


def _toml_value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml_value, value))}]"
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {_toml_value(inner)}' for key, inner in value.items())} }}"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _gates() -> dict[str, Any]:
    return {
        "requestsPerSecond": {"defaults": REQUESTS},
        "healthy": {"errors": 0.0002, "slow": 0.001, "p95": 0.2},
        "regression": {"errors": 0.05, "slow": 0.2},
        "power": {"catch": 0.95, "falseAbort": 0.01},
        "accepted": [
            {
                "what": "5xx 1 %",
                "reason": "the very limit, which some hundreds of requests see half of the time",
            }
        ],
    }


def _around(top: Path) -> None:
    """What else is in the repository, and is none of the tool's business."""
    _write(top / "README.md", "# Everything we have\n")
    _write(top / "shop" / "index.html", "<p>Parcels</p>\n")
    _write(top / "platform" / "network" / "main.tf", 'resource "acme_network" "all" {}\n')
    _write(top / "rollout" / "values.yaml", "not: the tree that the project file means\n")


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def _dumped(content: Any) -> str:
    return yaml.safe_dump(content, sort_keys=False)


def _commit(seed: Path, message: str) -> None:
    run(["git", "add", "--all"], cwd=seed)
    run(["git", "commit", "--quiet", f"--message={message}"], cwd=seed)
