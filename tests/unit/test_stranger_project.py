"""A stranger's repository without a cluster: what is drawn, what the tool sees of it, another environment."""

import importlib.util
import json
import re
import threading
from http.server import ThreadingHTTPServer

import pytest
import requests
import yaml

from ci.behaviour import golden, protocols
from ci.project import FILE
from tests.stranger import project
from tests.stranger.places import IMAGES, SERVER

OURS = ("iris", "sklearn", "dev", "staging", "prod", "flower")
"""What a stranger has never heard of."""


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """For tests that leave it as it is."""
    return project.made(tmp_path_factory.mktemp("stranger"), project.drawn(1))


@pytest.fixture
def own(tmp_path):
    return project.made(tmp_path, project.drawn(2))


def planned(stranger):
    return json.loads(stranger.tool("plan", f"--base=origin/{project.BRANCH}", "--json").stdout)


# --- what is drawn ---------------------------------------------------------------------------------------------------


def test_a_seed_gives_the_same_names_and_another_one_others():
    assert project.drawn(11) == project.drawn(11)
    one, other = project.drawn(11), project.drawn(12)
    assert {*one.environments, one.texts, one.bucket} != {*other.environments, other.texts, other.bucket}


def test_every_seed_gives_names_that_are_not_the_samples_and_fit():
    for seed in range(500):
        names = project.drawn(seed)
        every = [*names.environments, *names.namespaces, names.regression, names.texts, names.bucket]
        assert len({*every}) == len(every)
        assert not [name for name in every for ours in OURS if ours in name]
        for name in (names.regression, names.texts):
            for namespace in names.namespaces:
                assert len(f"{name}-predictor-{namespace}") <= 63, "KServe makes one label of it"


def test_no_file_but_the_charts_names_what_the_sample_has(stranger):
    listed = stranger.clone.git("ls-files").splitlines()
    assert [file for file in listed if not file.startswith(f"{project.BELOW}/")], "it is a monorepo"
    own = [file for file in listed if not file.startswith(f"{project.BELOW}/{project.CHART_FOLDER}/")]
    words = {file: {*re.findall("[a-z0-9]+", stranger.clone.read(file).decode().lower())} for file in own}
    assert {file: found for file in own if (found := words[file] & {*OURS})} == {}


# --- what the tool sees ----------------------------------------------------------------------------------------------


def test_nothing_differs_before_something_does(stranger):
    assert stranger.tool("plan", f"--base=origin/{project.BRANCH}").stdout == "nothing to run\n"


def test_a_bump_is_one_commit_to_one_application_and_no_other_is_planned(own):
    names = own.names
    own.bump("model", names.regression, "2", f"--digest=sha256:{'b' * 64}")

    path = own.file(own.first, names.regression)
    assert own.differs() == [f"{project.BELOW}/{path}"]
    assert own.data(path)["model"]["storageUri"] == f"s3://{names.bucket}/{names.regression}/2"
    found = planned(own)
    assert not found["platform"]["runs"]
    assert [(each["environment"], each["name"], each["kind"]) for each in found["applications"]] == [
        (own.first, names.regression, "changed")
    ]


def test_an_image_of_its_own_is_bumped_by_its_digest(own):
    names = own.names
    own.bump("image", names.texts, f"2@sha256:{'b' * 64}")

    assert own.data(own.file(own.first, names.texts))["image"]["digest"] == f"sha256:{'b' * 64}"
    assert [each["name"] for each in planned(own)["applications"]] == [names.texts]


# --- another environment ---------------------------------------------------------------------------------------------


def test_another_environment_is_one_entry_of_the_project_file_and_a_folder(own):
    names = own.names
    own.branch("another")
    new = next(word for word in project.WORDS if word not in names.environments and word not in str(names))
    file = own.folder / FILE
    before = file.read_text()
    entry = f'[[environments]]\nname = "{new}"\nnamespace = "{new}-models"\n\n'
    file.write_text(before.replace("[throwaway]", f"{entry}[throwaway]"))
    folder = own.folder / project.TREE / new
    folder.mkdir()
    source = own.folder / own.file(names.environments[1], names.texts)
    (folder / source.name).write_bytes(source.read_bytes())

    rendered = own.tool("argocd", "render").stdout.split()

    own.clone.git("add", "--all")
    own.clone.git("commit", "--quiet", f"--message=Add {new}")
    assert {*own.differs()} == {f"{project.BELOW}/{path}" for path in (FILE, *rendered, own.file(new, names.texts))}, (
        "that, and what is made of it"
    )
    given = "".join((own.folder / path).read_text() for path in rendered)
    assert f"{new}-models" in given
    assert own.project.targets(names.environments[2]) == (new,)
    found = planned(own)
    assert [(each["environment"], each["name"], each["kind"]) for each in found["applications"]] == [
        (new, names.texts, "new")
    ]
    own.clone.git("push", "--quiet", "origin", f"HEAD:{project.BRANCH}")
    shown = own.tool("bump", "image", f"--env={new}", f"--to=3@sha256:{'c' * 64}").stdout
    assert f"Bump {names.texts} image in {new} to 3" in shown


# --- its own model server --------------------------------------------------------------------------------------------


@pytest.fixture
def served(monkeypatch):
    """Start the server as an image's environment has it, and return its address."""
    running = []

    def start(tag):
        for variable in IMAGES[tag]:
            monkeypatch.setenv(*variable.split("="))
        spec = importlib.util.spec_from_file_location("strangers_server", SERVER)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(module, "LATE_SECONDS", 0.01)
        server = ThreadingHTTPServer(("127.0.0.1", 0), module.Server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


def asked(address, rounds=1):
    """The status and the answer, right or not, of every golden question in turn."""
    name = project.drawn(1).texts
    questions = golden.parse(yaml.safe_dump(project.texts_questions(project.drawn(1))), "questions")
    found = []
    for item in questions.inputs * rounds:
        reply = requests.post(f"{address}{questions.url_path(name)}", json=questions.body(item), timeout=10)
        answer = protocols.read(questions.asked, questions.keys, reply.text) if reply.ok else None
        found.append((reply.status_code, answer == item.expected))
    return found


@pytest.mark.parametrize("tag", ["1", "2", "slow"])
def test_its_versions_answer_the_golden_questions(served, tag):
    assert {*asked(served(tag), rounds=2)} == {(200, True)}


def test_the_failing_version_fails_every_fifth_request(served):
    assert [status for status, _ in asked(served("failing"), rounds=2)][:10] == [200] * 4 + [500] + [200] * 4 + [500]


def test_what_is_no_question_is_the_clients_mistake(served):
    address = served("1")
    assert requests.post(f"{address}/v2/models/any/infer", data=b"no json", timeout=10).status_code == 400
    assert requests.post(f"{address}/v1/models/any:predict", json={}, timeout=10).status_code == 404
    assert requests.get(f"{address}/v2/models/any/ready", timeout=10).status_code == 200
