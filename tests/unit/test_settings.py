"""The variables that this tool reads: each read right or refused in one line, by the real commands."""

import json
import os
import pwd
import socket
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
from rich.text import Text

from ci.base import paths, programs, settings
from ci.base.errors import UsageError
from ci.base.paths import ROOT
from ci.stages.order import ORDER
from tests.harness import cli

NAMELESS = ("unshare", "--user", "--map-user=4242")
"""A user who has no name and no home folder; what the files allow is what they allow to whoever runs this."""


@pytest.fixture(autouse=True)
def called_in_a_project(project, monkeypatch):
    """As a person calls it."""
    monkeypatch.chdir(project)


def ci(*arguments, env, cwd=None, user=()):
    ended = cli.run(*arguments, cwd=cwd, env={"PATH": os.environ["PATH"], **env}, user=user)
    ended.stderr = Text.from_ansi(ended.stderr).plain
    return ended


def one_line(ended, code):
    """Return what was said, which is one error and its way out."""
    said = ended.stderr.splitlines()
    assert ended.returncode == code, ended.stderr
    assert said[0].startswith("error: "), said
    assert len(said) == 1 or (len(said) == 2 and said[1].startswith("  fix: ")), said
    assert ended.stdout == ""
    return said[0]


@pytest.fixture
def variables(monkeypatch, tmp_path):
    """Only what a test sets, with a home folder of its own."""
    for name in [name for name in os.environ if name.startswith((settings.PREFIX, "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(settings, "_taken", {})
    return monkeypatch


# --- when they are read ---------------------------------------------------------------------------------------------

IMPORTED = """
import importlib, json, os, pkgutil, sys

def everything():
    for module in pkgutil.walk_packages(ci.__path__, "ci."):
        importlib.import_module(module.name)

import ci
everything()  # and with it the libraries, which may look at what they like
for name in [name for name in sys.modules if name.partition(".")[0] == "ci"]:
    del sys.modules[name]
import ci

class Watched(dict):
    def __getitem__(self, name):
        read.append(os.fsdecode(name))
        return super().__getitem__(name)

    def __iter__(self):
        read.append("all of it")
        return super().__iter__()

read, os.environ._data = [], Watched(os.environ._data)
everything()
print(json.dumps(read))
"""
"""Which variables the tool's own modules look at as they are imported."""


def test_none_is_read_before_a_command_begins():
    argv = [sys.executable, "-c", IMPORTED]
    ended = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
    assert set(json.loads(ended.stdout.splitlines()[-1])) <= {"PYDANTIC_DISABLE_PLUGINS"}  # pydantic's, of each model


# --- ports, yes and no, stages --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    ["abc", "70000", "65536", "0", "-1", "+1", "5_001", "٥", "1e3", " ", "5001 ", "\n", "0x1389", "05001", "5001,5002"],
    ids=repr,
)
def test_what_is_no_port_is_refused_with_its_name_and_value(variables, value):
    variables.setenv(settings.REGISTRY_PORT, value)

    with pytest.raises(UsageError) as caught:
        settings.registry_port()

    said = str(caught.value)
    assert said.startswith(f"{settings.REGISTRY_PORT}=")
    assert value in said or repr(value) in said
    assert "\n" not in said


@pytest.mark.parametrize(("value", "port"), [("", 5001), (None, 5001), ("1", 1), ("5002", 5002), ("65535", 65535)])
def test_a_port_is_taken_and_an_empty_one_is_not_set(variables, value, port):
    if value is not None:
        variables.setenv(settings.REGISTRY_PORT, value)

    assert settings.registry_port() == port


@pytest.mark.parametrize("command", [["doctor"], ["supply", "newer"], ["cluster", "status"], ["lint"]], ids=" ".join)
@pytest.mark.parametrize("value", ["abc", "70000"])
def test_every_command_refuses_a_wrong_port_before_it_does_anything(tmp_path, command, value):
    ended = ci(*command, env={"HOME": str(tmp_path), settings.REGISTRY_PORT: value})

    assert f"{settings.REGISTRY_PORT}={value}: not a port" in one_line(ended, 2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["1", "true", "YES", "on"])
def test_debug_may_be_said_in_several_ways(variables, value):
    variables.setenv(settings.DEBUG, value)

    assert settings.debug()


@pytest.mark.parametrize("value", ["", "0", "false", "No", "OFF"])
def test_and_so_may_its_absence(variables, value):
    variables.setenv(settings.DEBUG, value)

    assert not settings.debug()


def test_a_wrong_yes_or_no_is_one_line(tmp_path):
    ended = ci("doctor", env={"HOME": str(tmp_path), settings.DEBUG: "maybe"})

    assert f"{settings.DEBUG}=maybe: not one of" in one_line(ended, 2)


@pytest.mark.parametrize("value", ["lint,template", "lint template", " lint, template ,", "lint\ntemplate"], ids=repr)
def test_stages_are_separated_by_spaces_or_commas(variables, value):
    variables.setenv(settings.ONLY, value)

    assert settings.only([stage.name for stage in ORDER]) == ["lint", "template"]


@pytest.mark.parametrize("value", ["", " ", ","], ids=repr)
def test_no_stage_named_is_no_narrowing(variables, value):
    variables.setenv(settings.ONLY, value)

    assert settings.only([stage.name for stage in ORDER]) == []


def test_an_unknown_stage_is_refused_with_the_variables_name(tmp_path):
    ended = ci("test", "--supply=source", env={"HOME": str(tmp_path), settings.ONLY: "lint,canry"})

    assert f"{settings.ONLY}=lint,canry: canry: no such stage" in one_line(ended, 2)


def test_a_stage_of_the_command_line_comes_before_the_variables(tmp_path):
    ended = ci("test", "--only=canry", env={"HOME": str(tmp_path), settings.ONLY: "lint"})

    assert "canry: no such stage" in one_line(ended, 2)


def test_a_misspelt_variable_is_told(tmp_path):
    ended = ci("test", "--sample-env=qa", env={"HOME": str(tmp_path), "ML_SERVING_CI_CAHCE": "/x", settings.DEBUG: "0"})

    assert "ML_SERVING_CI_CAHCE is set, and nothing reads it: ML_SERVING_CI_CACHE is meant?" in ended.stderr


def test_a_variable_that_is_documented_is_no_misspelt_one(variables, tmp_path):
    for name in (*settings.SECRETS, *settings.INTERNAL):
        variables.setenv(name, "x")
        variables.setenv(f"{name}_FILE", str(tmp_path)) if name in settings.SECRETS else None

    assert settings.begin() == []


# --- folders --------------------------------------------------------------------------------------------------------


def test_a_cache_is_expanded_and_absolute(variables, tmp_path):
    variables.chdir(tmp_path)
    for value, folder in (
        (".cache", tmp_path / ".cache"),
        ("a/../b", tmp_path / "b"),
        (f"{tmp_path}/a/../../b", tmp_path.parent / "b"),
        ("~", tmp_path),
        ("~/x", tmp_path / "x"),
        (f"~{pwd.getpwuid(0).pw_name}/x", Path(pwd.getpwuid(0).pw_dir, "x")),
        ("/x", Path("/x")),
        ("", tmp_path / ".cache/ml-serving-ci"),
    ):
        variables.setenv(settings.CACHE, value)
        assert paths.cache() == folder


def test_a_command_of_a_relative_cache_names_what_is_there(tmp_path):
    env = {"HOME": str(tmp_path / "home"), settings.CACHE: ".cache"}

    ended = ci("supply", "path", "--supply=source", env=env, cwd=tmp_path)

    assert ended.stdout == f"{tmp_path}/.cache/source/bin\n"


def test_programs_of_a_relative_cache_are_told_the_absolute_one(variables, tmp_path):
    variables.chdir(tmp_path)
    variables.setenv(settings.CACHE, "here")

    settings.begin()

    assert os.environ[settings.CACHE] == str(tmp_path / "here")


def test_a_cache_that_is_a_file_is_refused(tmp_path):
    file = tmp_path / "file"
    file.touch()

    ended = ci("supply", "path", "--supply=source", env={"HOME": str(tmp_path), settings.CACHE: str(file)})

    assert f"{settings.CACHE}={file}: not a folder" in one_line(ended, 2)


def test_a_user_that_there_is_none_of_is_named(tmp_path):
    ended = ci("doctor", env={"HOME": str(tmp_path), settings.CACHE: "~nobody-of-that-name/x"})

    assert "there is no user nobody-of-that-name" in one_line(ended, 2)


def test_a_relative_folder_of_xdg_is_ignored(variables, tmp_path):
    variables.setenv("XDG_CACHE_HOME", "relative")

    assert paths.cache() == tmp_path / ".cache/ml-serving-ci"
    assert "XDG_CACHE_HOME" not in os.environ


def test_an_absolute_one_is_taken(variables, tmp_path):
    for value in (tmp_path / "other", tmp_path / "a/../other"):
        variables.setenv("XDG_CACHE_HOME", str(value))

        assert paths.cache() == tmp_path / "other/ml-serving-ci"


def test_what_is_above_a_link_is_what_is_above_its_target(variables, tmp_path):
    tmp_path.joinpath("far/away").mkdir(parents=True)
    tmp_path.joinpath("link").symlink_to("far/away")
    variables.setenv(settings.CACHE, str(tmp_path / "link/../cache"))

    assert paths.cache() == tmp_path / "far/cache"


@pytest.mark.parametrize("value", ["nowhere", "/nowhere/x", "/etc/passwd"])
def test_a_folder_for_temporary_files_that_is_none_is_refused(tmp_path, value):
    ended = ci("supply", "list", "--supply=source", env={"HOME": str(tmp_path), "TMPDIR": value})

    assert f"TMPDIR={value}: not a folder" in one_line(ended, 2)


# --- proxies --------------------------------------------------------------------------------------------------------


@pytest.fixture
def proxied(variables):
    """Every host is asked through a proxy that is off, and no variable says otherwise."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        proxy = f"http://127.0.0.1:{free.getsockname()[1]}"
    for name in settings.PROXIES:
        variables.setenv(name, proxy)
    for name in settings.NO_PROXY:
        variables.setenv(name, "")
    return variables


def test_no_proxy_is_asked_for_what_is_on_this_machine(proxied):
    with ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        addresses = [f"http://{host}:{server.server_port}/" for host in ("127.0.0.1", "localhost")]
        with pytest.raises(requests.exceptions.ProxyError):
            requests.head(addresses[0], timeout=10)

        settings.begin()

        assert [requests.head(address, timeout=10).status_code for address in addresses] == [200, 200]
        with pytest.raises(requests.exceptions.ProxyError):
            requests.head("http://registry.invalid/", timeout=10)
        server.shutdown()


def test_a_proxy_is_left_out_for_ours_beside_what_the_user_says(proxied):
    proxied.setenv("NO_PROXY", ".corp.example, 10.0.0.0/8")

    settings.begin()
    settings.direct("ml-serving-ci-registry")
    settings.direct("ml-serving-ci-registry")

    expected = ".corp.example,10.0.0.0/8,127.0.0.1,localhost,::1,ml-serving-ci-registry"
    assert [os.environ[name] for name in settings.NO_PROXY] == [expected, expected]
    assert programs.environment(["kind"])["NO_PROXY"] == expected


def test_a_star_stays_alone(proxied):
    proxied.setenv("no_proxy", "*")

    settings.begin()

    assert [os.environ[name] for name in settings.NO_PROXY] == ["", "*"]


def test_without_a_proxy_nothing_is_said_of_one(proxied):
    for name in settings.PROXIES:
        proxied.setenv(name, "")

    settings.begin()

    assert [os.environ[name] for name in settings.NO_PROXY] == ["", ""]


# --- home -----------------------------------------------------------------------------------------------------------

COMMANDS = (
    ["doctor"],
    ["lint"],
    ["template"],
    ["gates"],
    ["test"],
    ["diff"],
    ["bump", "model", "--env=dev", "--to=2"],
    ["rollback", "--env=dev"],
    ["promote", "--from=dev", "--to=staging"],
    ["wait", "--env=dev"],
    ["watch", "--env=dev"],
    ["evidence", "verify", "x", "--public-key=x", "--env=dev"],
    ["publish", "--registry=oci://x/y"],
    ["cluster", "status"],
    ["cluster", "clean"],
    ["supply", "path", "--supply=source"],
    ["supply", "list", "--supply=source"],
)


@pytest.fixture(scope="module")
def nameless():
    if subprocess.run([*NAMELESS, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this kernel gives nobody a user namespace")
    return NAMELESS


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_without_home_and_name_every_command_says_so_in_one_line(nameless, command):
    ended = ci(*command, env={}, user=nameless)

    assert "no home folder: HOME is not set and user 4242 has no name" in one_line(ended, 3)


@pytest.mark.parametrize("command", [["--help"], ["doctor", "--help"], ["cluster", "status", "--help"]], ids=" ".join)
def test_but_help_does_without(nameless, command):
    ended = ci(*command, env={}, user=nameless)

    assert ended.returncode == 0
    assert "Usage" in ended.stdout


@pytest.mark.parametrize(
    ("home", "said"),
    [("", "HOME is not set and user 4242 has no name"), ("here", "HOME=here is not an absolute path")],
)
def test_a_home_that_is_none_is_one_line(nameless, home, said):
    assert said in one_line(ci("doctor", env={"HOME": home}, user=nameless), 3)


def test_each_way_out_that_is_named_works(nameless, tmp_path):
    for env in ({"HOME": str(tmp_path)}, {settings.CACHE: str(tmp_path / "cache")}):
        ended = ci("supply", "path", "--supply=source", env=env, user=nameless)
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.startswith(str(tmp_path))


@pytest.mark.parametrize("value", [None, ""])
def test_without_home_the_user_database_says_it_to_libraries_too(variables, value):
    variables.delenv("HOME")
    if value is not None:
        variables.setenv("HOME", value)

    assert settings.home() == Path(pwd.getpwuid(os.getuid()).pw_dir)
    assert Path.home() == settings.home()


# --- secrets, kubeconfig --------------------------------------------------------------------------------------------


def test_secrets_are_read_once_the_command_has_begun_and_gone_from_the_environment(variables):
    for name in (*settings.SECRETS, "GITHUB_TOKEN"):
        variables.setenv(name, f"hunter2 {name}")

    settings.begin()

    assert "hunter2" not in str(dict(os.environ))
    assert settings.secret(settings.SIGNING_KEY).value == f"hunter2 {settings.SIGNING_KEY}"
    assert settings.secret(*settings.TOKENS).value == f"hunter2 {settings.TOKEN}"


def test_an_empty_secret_is_not_set(variables, tmp_path):
    variables.setenv(settings.TOKEN, "")
    variables.setenv(f"{settings.TOKEN}_FILE", "")
    variables.setenv("GITHUB_TOKEN", "other")

    assert settings.secret(*settings.TOKENS).value == "other"


@pytest.mark.parametrize("name", [*settings.SECRETS, "GITHUB_TOKEN"])
def test_a_secret_of_other_bytes_is_refused_and_not_shown(variables, name):
    variables.setenv(name, os.fsdecode(b"hunter2\xff"))

    with pytest.raises(UsageError, match=f"^{name}: not text in UTF-8$"):
        settings.secret(name)


def test_the_file_of_a_secret_may_begin_with_a_tilde(variables, tmp_path):
    (tmp_path / "token").write_text("hunter2\n")
    variables.setenv(f"{settings.TOKEN}_FILE", "~/token")

    assert settings.secret(settings.TOKEN).value == "hunter2"


def test_the_kubeconfig_is_kubectls_own_by_default(variables, tmp_path):
    assert settings.kubeconfig() == tmp_path / ".kube/config"


def test_of_several_kubeconfigs_those_that_are_there_count(variables, tmp_path):
    one, two, gone = (tmp_path / name for name in ("one", "two", "gone"))
    one.touch()
    for value, file in ((f"{gone}:{one}:", one), (f"{one}:{one}", one), (str(gone), gone), (f":{gone}", gone)):
        variables.setenv("KUBECONFIG", value)
        assert settings.kubeconfig() == file

    two.touch()
    variables.setenv("KUBECONFIG", f"{one}:{two}")
    with pytest.raises(UsageError, match="2 files, and one is needed") as caught:
        settings.kubeconfig()
    assert "kubectl config view --flatten" in caught.value.fix
