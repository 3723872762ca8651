"""What the programs that a run starts are given: real programs, which print their environment."""

import ast
import functools
import os
import re
import runpy
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import anyio
import pytest

from ci.base import command, programs, settings
from ci.base.errors import MachineError
from ci.base.paths import ROOT
from ci.checks import session

UNKNOWN = "kubeadm"
"""A program that is not in the table."""
EVERYWHERE = {*programs.PROGRAMS, UNKNOWN}
KEPT_AWAY = (
    "PYTEST_ADDOPTS", "PYTEST_DEBUG", "PYTEST_XDIST_WORKER", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONOPTIMIZE",
    "PYTHONWARNINGS", "PYTHONHOME", "PYTHONBREAKPOINT", "PYTHONINSPECT", "HYPOTHESIS_PROFILE", "COVERAGE_PROCESS_START",
    "PIP_CONSTRAINT", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_REQUIRE_VIRTUALENV", "PIP_NO_DEPS",
    "PIP_PRE", "PIP_REQUIREMENT", "PIP_NO_BINARY", "PIP_ONLY_BINARY", "PIP_ISOLATED",
    "HELM_NAMESPACE", "HELM_KUBECONTEXT", "HELM_KUBETOKEN", "HELM_DRIVER", "HELM_DEBUG", "HELM_CONFIG_HOME",
    "HELM_DATA_HOME", "HELM_MAX_HISTORY",
    "KUBECONFIG", "KUBE_EDITOR", "KUBECTL_EXTERNAL_DIFF", "KUBERNETES_MASTER", "KUBERNETES_SERVICE_HOST",
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE", "GIT_CONFIG", "GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_0", "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM", "GIT_CONFIG_PARAMETERS", "GIT_EXTERNAL_DIFF", "GIT_TRACE", "GIT_AUTHOR_DATE",
    "GIT_COMMITTER_DATE", "GIT_EXEC_PATH", "GIT_TEMPLATE_DIR", "GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS",
    "GOFLAGS", "GOOS", "GOARCH", "GOAMD64", "GOEXPERIMENT", "GOTOOLCHAIN", "GOROOT", "GOENV", "GOWORK", "GODEBUG",
    "CGO_ENABLED", "CGO_CFLAGS", "CC",
    "KIND_CLUSTER_NAME", "KIND_EXPERIMENTAL_PROVIDER", "KIND_EXPERIMENTAL_DOCKER_NETWORK",
    "DOCKER_API_VERSION", "DOCKER_DEFAULT_PLATFORM", "DOCKER_CONTENT_TRUST", "COMPOSE_PROJECT_NAME", "BUILDX_BUILDER",
    "BUILDKIT_HOST", "APT_CONFIG", "SOURCE_DATE_EPOCH", "LD_PRELOAD", "BASH_ENV", "ENV", "CDPATH", "IFS",
    "STORAGE_ALLOW_PATTERNS", "STORAGE_IGNORE_PATTERNS", "STORAGE_CONFIG",
    "GITHUB_TOKEN", "GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "ACTIONS_RUNTIME_TOKEN", "CI_JOB_TOKEN",
    "ML_SERVING_CI_SIGNING_KEY", "ML_SERVING_CI_SIGNING_KEY_FILE", "ML_SERVING_CI_SIGNING_PASSWORD",
    "ML_SERVING_CI_TOKEN", "ML_SERVING_CI_WEBHOOK", "ML_SERVING_CI_REGISTRY_PASSWORD", "ML_SERVING_CI_ONLY",
    "ML_SERVING_CI_DEBUG", "ML_SERVING_CI_SUPPLY", "ML_SERVING_CI_OWNER", "SOMETHING_ELSE",
)  # fmt: skip
"""Some of all that nobody means for a run: what changes what is selected, built or written, and secrets of the tool."""
SUITE = {"pytest", "ml-serving-ci"}
CLUSTERS = {"helm", "kubectl", "kubectl-argo-rollouts"}
DOCKER = {"docker", "dagger", "kind"}
REMOTES = (
    {"apt-get", "crane", "dockerd", "git", "go", "kserve-storage", "mmdebstrap", "pip"} | CLUSTERS | DOCKER | SUITE
)
HANDED_ON = {
    ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "LANG", "LC_ALL", "LC_CTYPE", "TERM"): EVERYWHERE,
    ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"): EVERYWHERE,
    ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"): REMOTES,
    ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC"): REMOTES,
    ("DOCKER_CONFIG",): DOCKER | SUITE | {"crane", "helm"},
    ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"): DOCKER | SUITE,
    ("AWS_PROFILE", "GOOGLE_APPLICATION_CREDENTIALS", "AZURE_CLIENT_ID"): CLUSTERS
    | SUITE
    | {"crane", "docker", "dagger", "kserve-storage"},
    ("HF_TOKEN", "HF_ENDPOINT", "awsAnonymousCredential", "S3_VERIFY_SSL", "STORAGE_EMULATOR_HOST"): {"kserve-storage"},
    ("SSH_AUTH_SOCK",): DOCKER | SUITE | {"git", "go"},
    ("GIT_SSH_COMMAND", "GIT_ASKPASS", "GIT_SSL_CAINFO", "GIT_COMMITTER_EMAIL"): SUITE | {"git", "go"},
    ("GOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GONOPROXY", "GOINSECURE", "GOAUTH"): {"go", "ml-serving-ci"},
    ("GOMODCACHE", "GOCACHE"): {"go", "ml-serving-ci"},
    ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_CERT"): {"pip", "ml-serving-ci"},
    ("PIP_CLIENT_CERT", "PIP_FIND_LINKS", "PIP_DEFAULT_TIMEOUT", "PIP_CONFIG_FILE"): {"pip", "ml-serving-ci"},
    ("DAGGER_CLOUD_TOKEN", "_EXPERIMENTAL_DAGGER_RUNNER_HOST"): {"dagger", "ml-serving-ci"},
    ("HELM_REGISTRY_CONFIG",): {"helm"} | SUITE,
    ("ML_SERVING_CI_CACHE", "ML_SERVING_CI_REGISTRY_PORT"): SUITE,
}
OWN_PROCESSES = {
    "ci/host/oci_runtime.py",  # Docker's daemon starts it
    "ci/stages/alone.py",  # the suite's process
    "ci/canary/observe/files/traffic_client.py",  # runs in a pod
    "ci/checks/control_plane/inside/processes.py",  # runs in a container that has nothing else
}
"""Programs of their own, which read what they are given."""


@pytest.fixture
def given(tmp_path):
    """What a program of a name is given, as it says itself."""

    def run(name, **options):
        program = tmp_path / name
        program.write_text("#!/bin/sh\nexec /usr/bin/env -0\n")
        program.chmod(0o755)
        shown = anyio.run(lambda: command.run([program], **options)).stdout
        return dict(line.partition("=")[::2] for line in shown.split("\0") if line)

    return run


@pytest.mark.parametrize("program", sorted(EVERYWHERE))
def test_nothing_reaches_a_program_but_what_it_is_meant_to_have(given, monkeypatch, program):
    handed_on = {name: where for names, where in HANDED_ON.items() for name in names}
    for name in {*os.environ} - {"PATH"}:
        monkeypatch.delenv(name)
    for name in {*KEPT_AWAY, *handed_on} - {"PATH"}:
        monkeypatch.setenv(name, f"/of the caller/{name}")

    found = given(program)

    of_the_caller = {name for name, value in found.items() if value.startswith("/of the caller/")}
    meant = {name for name, where in handed_on.items() if program in where}
    assert of_the_caller | {"PATH"} == meant
    assert found["PATH"] == os.environ["PATH"]
    always = programs.PROGRAMS[program].sets if program in programs.PROGRAMS else {}
    assert set(found) - meant <= {*always, "PWD", "SHLVL", "_", "OLDPWD"}
    assert {name: found[name] for name in always} == always


def test_variables_of_a_call_are_added_and_win(given, monkeypatch):
    monkeypatch.setenv("HOME", "/of the caller")

    found = given("kubectl", env={"HOME": "/other", "KUBERC": "on", "PYTHONHASHSEED": "0"})

    assert (found["HOME"], found["KUBERC"], found["PYTHONHASHSEED"]) == ("/other", "on", "0")


@pytest.mark.parametrize("name", ["TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO"])
def test_a_file_or_folder_is_the_same_for_a_program_that_is_started_elsewhere(given, monkeypatch, tmp_path, name):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    for value, meant in (("a/b", f"{tmp_path}/a/b"), ("~/b", "/home/me/b"), ("/b", "/b"), ("a:/b", f"{tmp_path}/a:/b")):
        monkeypatch.setenv(name, value)
        assert given("git", cwd=elsewhere)[name] == meant


def test_every_place_is_handed_to_some_program():
    patterns = [pattern for group in programs.GROUPS.values() for pattern in group]
    assert [name for name in programs.PLACES if not any(fnmatchcase(name, pattern) for pattern in patterns)] == []


def test_an_empty_variable_is_not_handed_on(given, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "")

    assert "HTTPS_PROXY" not in given("git")


def test_a_program_that_is_started_and_not_waited_for_gets_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    monkeypatch.setenv("AWS_PROFILE", "mine")
    file = tmp_path / "kubectl"
    file.write_text("#!/bin/sh\nexec /usr/bin/env\n")
    file.chmod(0o755)

    async def run():
        async with await command.start([file], stdin=subprocess.DEVNULL) as process:
            return b"".join([chunk async for chunk in process.stdout]).decode().splitlines()

    found = anyio.run(run)
    assert "AWS_PROFILE=mine" in found
    assert not [line for line in found if line.startswith("PYTHON")]


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        ([sys.executable, "-m", "pip", "download"], "pip"),
        ([sys.executable, "-m", "pytest", "tests"], "pytest"),
        ([sys.executable, ROOT / "ci" / "main.py", "bump"], "ml-serving-ci"),
        ([sys.executable, "-E", "-P", ROOT / "ci" / "stages" / "alone.py", ROOT, "-m", "x"], "pytest"),
        ([sys.executable, "-I", "-m", "pip"], "pip"),
        (["/cache/storage/1/bin/python", "-I", "-B", "/a/files/kserve_fetch.py", "/b"], "kserve-storage"),
        ([sys.executable, "script.py", "-m", "pip"], Path(sys.executable).name),
        ([sys.executable, "-c", "print()"], Path(sys.executable).name),
        ([sys.executable], Path(sys.executable).name),
        (["setsid", "--fork", "dockerd", "--config-file", "x"], "dockerd"),
        ([Path("/somewhere/bin/helm"), "template"], "helm"),
        (["git"], "git"),
    ],
    ids=str,
)
def test_a_program_is_known_by_its_command(argv, name):
    assert programs.name(argv) == name


def test_pytest_runs_its_tests_whatever_surrounds_it(tmp_path, monkeypatch):
    # Given: two tests, of which one is bad, and all that could keep them from being run or from being red
    file = tmp_path / "test_it.py"
    file.write_text(
        "import pytest\n"
        "def test_bad():\n    assert False\n"
        "@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n"
        "@pytest.mark.anyio\nasync def test_good():\n    assert True\n"
    )
    (tmp_path / "plugin.py").write_text("def pytest_collection_modifyitems(items):\n    items.clear()\n")
    for name, value in {
        "PYTEST_ADDOPTS": "--collect-only -k 'not bad'",
        "PYTEST_PLUGINS": "plugin",
        "PYTHONPATH": str(tmp_path),
        "PYTHONOPTIMIZE": "1",
    }.items():
        monkeypatch.setenv(name, value)

    argv = [sys.executable, "-m", "pytest", file, "-p", "no:cacheprovider", f"--rootdir={tmp_path}"]
    ended = anyio.run(lambda: command.run(argv, check=False, cwd=tmp_path))

    assert ended.returncode == 1
    assert "1 failed, 1 passed" in ended.stdout
    assert "xdist" not in ended.stdout


def test_helm_looks_at_no_namespace_and_no_plugin_of_the_callers(tool, tmp_path, monkeypatch):
    monkeypatch.setenv("HELM_NAMESPACE", "elsewhere")
    monkeypatch.setenv("HELM_KUBECONTEXT", "elsewhere")
    plugin = tmp_path / "data" / "helm" / "plugins" / "broken"
    plugin.mkdir(parents=True)
    (plugin / "plugin.yaml").write_text("name: [")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))

    helm = tool("helm")

    ended = anyio.run(lambda: command.run([helm, "env"]))

    said = dict(line.partition("=")[::2] for line in ended.stdout.splitlines())
    assert said["HELM_NAMESPACE"] == '"default"'
    assert said["HELM_KUBECONTEXT"] == '""'
    assert ended.stderr == ""


def test_git_works_on_the_repository_that_it_is_given(tmp_path, monkeypatch):
    for name in ("mine", "theirs"):
        subprocess.run(["git", "init", "--quiet", tmp_path / name], check=True)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "theirs" / ".git"))

    found = anyio.run(lambda: command.run(["git", "-C", tmp_path / "mine", "rev-parse", "--absolute-git-dir"]))

    assert found.stdout.strip() == str(tmp_path / "mine" / ".git")


def test_the_dagger_command_that_its_library_starts_gets_its_own_environment(tmp_path, monkeypatch):
    # Given: a `dagger` that notes what it is given, and ends
    cli = tmp_path / "dagger"
    cli.write_text(f"#!/bin/sh\n/usr/bin/env > {tmp_path}/given\nexit 1\n")
    cli.chmod(0o755)
    # and the user's own, of whatever version
    own = tmp_path / "bin" / "dagger"
    own.parent.mkdir()
    own.write_text(f"#!/bin/sh\n/usr/bin/touch {tmp_path}/own\nexit 1\n")
    own.chmod(0o755)
    monkeypatch.setenv("PATH", f"{own.parent}:{os.environ['PATH']}")
    monkeypatch.delenv("DAGGER_SESSION_PORT", raising=False)
    for name in ("GIT_DIR", "PYTHONPATH", settings.SIGNING_KEY, "DOCKER_DEFAULT_PLATFORM"):
        monkeypatch.setenv(name, "of the caller")
    monkeypatch.setenv("DAGGER_NO_NAG", "1")
    before = dict(os.environ)

    async def connect():
        async with session._connected(cli):
            pass

    # When
    with pytest.raises(MachineError, match="no session"):
        anyio.run(connect)

    # Then
    found = (tmp_path / "given").read_text()
    assert "of the caller" not in found
    assert "DAGGER_NO_NAG=1" in found.splitlines()
    assert "DAGGER_LEAVE_OLD_ENGINE=1" in found.splitlines()
    assert not (tmp_path / "own").exists()
    assert dict(os.environ) == before


def test_a_dagger_of_the_users_choice_that_cannot_serve_is_named(tmp_path, monkeypatch):
    pinned, chosen = tmp_path / "pinned", tmp_path / "chosen"
    chosen.write_text('#!/bin/sh\necho \'Error: unknown command "session" for "dagger"\' >&2\nexit 1\n')
    chosen.chmod(0o755)
    monkeypatch.delenv("DAGGER_SESSION_PORT", raising=False)
    monkeypatch.setenv(session.COMMAND, str(chosen))

    async def connect():
        async with session._connected(pinned):
            pass

    with pytest.raises(MachineError, match=f"no session on the Dagger engine by {session.COMMAND}={chosen}") as caught:
        anyio.run(connect)

    assert caught.value.fix == f"unset {session.COMMAND}"
    assert 'unknown command "session"' in caught.value.detail


def test_while_a_library_starts_a_program_others_get_what_the_caller_has(monkeypatch):
    monkeypatch.setenv("GOPROXY", "https://goproxy.example")

    with programs.lent("dagger", {"MORE": "1"}):
        assert "GOPROXY" not in os.environ
        assert os.environ["MORE"] == "1"
        assert programs.environment(["go"])["GOPROXY"] == "https://goproxy.example"
        assert "MORE" not in programs.environment(["go"])
        assert settings.variable("GOPROXY")
    assert os.environ["GOPROXY"] == "https://goproxy.example"


# --- that nobody goes round it --------------------------------------------------------------------------------------


@functools.cache
def sources():
    """Each module of the tool, with what it uses."""
    files = {file.relative_to(ROOT).as_posix(): file for file in sorted((ROOT / "ci").rglob("*.py"))}
    return {
        name: set(used(ast.parse(file.read_text())))
        for name, file in files.items()
        if name not in OWN_PROCESSES and not name.startswith("ci/supply/source/files/")
    }


def dotted(node):
    """Return "os.environ" of such a node."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def used(tree):
    """Yield each dotted name of a module, and what it imports, as MODULE.NAME."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield dotted(node)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_the_environment_is_read_in_one_place():
    readers = {"os.environ", "os.environb", "os.getenv", "os.putenv", "os.unsetenv"}
    readers |= {"Path.home", "pathlib.Path.home", "getpass.getuser", "os.getlogin"}

    found = {name for name, names in sources().items() if readers & names}

    assert found == {"ci/base/settings.py"}


def test_programs_are_started_in_one_place():
    starters = {"anyio.open_process", "anyio.run_process", "asyncio.create_subprocess_exec"}
    starters |= {"asyncio.create_subprocess_shell", "os.system", "os.popen", "os.fork", "os.posix_spawn"}
    starters |= {f"subprocess.{name}" for name in ("run", "Popen", "call", "check_call", "check_output", "getoutput")}
    starters |= {f"os.{kind}{form}" for kind in ("exec", "spawn") for form in ("l", "le", "lp", "v", "ve", "vp", "vpe")}

    found = {name for name, names in sources().items() if starters & names}

    assert found == {"ci/base/command.py", "ci/checks/each.py"}, "and in a container of the pipeline"


def test_every_variable_of_ours_in_the_docs_is_one_that_is_read():
    of_workflows = {f"{settings.PREFIX}{name}" for name in ("PUBLIC_KEY", "KUBECONFIG", "REGISTRY")}
    known = {*settings.OWN, *(f"{name}_FILE" for name in settings.SECRETS), *settings.INTERNAL, *of_workflows}
    pattern = re.compile(rf"{settings.PREFIX}[A-Z_]*[A-Z]")

    for file in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        assert set(pattern.findall(file.read_text())) <= known, file


def test_the_docs_have_the_tables_that_the_code_has():
    """`python docs/environment.py` writes them anew."""
    script = runpy.run_path(str(ROOT / "docs" / "environment.py"))

    assert script["PAGE"].read_text() == script["page"]()
    assert set(programs.ABOUT) == set(programs.GROUPS)
    assert {group for program in programs.PROGRAMS.values() for group in program.groups} <= set(programs.GROUPS)
