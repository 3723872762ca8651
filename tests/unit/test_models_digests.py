"""Models are served only as they are pinned."""

import os
import subprocess
import sys

import pytest

from ci.base.errors import UsageError
from ci.base.paths import CHART
from ci.models import digests
from tests.harness import cli

PINNED = CHART / "files" / "pinned_model.py"
LISTED = "find -L . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum"
"""As docs/gitops.md has it."""
OF_A_HUB = LISTED.replace("-type f", "-path ./.cache/huggingface -prune -o -type f")


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    for name in ("model.joblib", "Z/config.json", "a b/ümlaut", "a-b"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"of {name}")
    return folder


def start(model, *arguments):
    """Run the chart's comparison on a folder that stands for the model's in a pod."""
    script = PINNED.read_text().replace('"/mnt/models"', repr(str(model))).replace('"/dev/termination-log"', '"log"')
    argv = [sys.executable, "-c", script, *arguments]
    return subprocess.run(argv, cwd=model.parent, capture_output=True, text=True, timeout=300)


def printed(model, command=LISTED):
    ended = subprocess.run(command, shell=True, cwd=model, check=True, capture_output=True, text=True)
    return f"sha256:{ended.stdout.split()[0]}"


def test_a_models_digest_is_what_the_documented_command_prints(model):
    assert digests.pinned(model) == printed(model)


@pytest.fixture
def left(model):
    """What the client of a hub leaves, or somebody else puts there."""
    left = model / ".cache" / "huggingface" / "download" / "model.metadata"
    left.parent.mkdir(parents=True)
    left.write_text("when it was fetched")
    return left


def test_what_the_client_of_a_hub_leaves_beside_a_model_is_none_of_it(model, left):
    pinned = digests.of_path(model, hub=True)
    left.write_text("another time")

    assert pinned == digests.of_path(model, hub=True) == printed(model, OF_A_HUB)
    assert start(model, "--hub", pinned, "echo", "serving").returncode == 0
    left.unlink()
    assert digests.pinned(model) == pinned


def test_of_any_other_store_what_lies_there_is_a_part_of_the_model(model, left):
    pinned = digests.of_path(model)
    assert pinned == digests.pinned(model) == printed(model)
    assert start(model, pinned, "echo", "serving").returncode == 0

    left.write_text("what a server loads")

    assert digests.of_path(model) != pinned
    assert start(model, pinned, "echo", "serving").returncode == 1


def test_a_folder_that_may_be_of_a_hub_or_not_is_refused_by_what_is_in_it(model, left, tmp_path):
    refused = digest(model, tmp_path, tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert ".cache/huggingface: no part of a model of hf://, and of any other" in " ".join(refused.stderr.split())


def test_an_archive_is_no_model_and_a_folder_that_has_one_among_others_is(model, tmp_path):
    (model / "extra.tar.gz").write_bytes(b"packed")
    assert digest(model, tmp_path, tmp_path).stdout == f"{digests.pinned(model)}\n"
    refused = digest(model / "extra.tar.gz", tmp_path, tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "extra.tar.gz: an archive, and a pod has the files in it" in " ".join(refused.stderr.split())


def test_the_server_starts_with_the_files_that_are_pinned(model):
    ended = start(model, digests.pinned(model), "echo", "serving", "--port=8080")
    assert (ended.returncode, ended.stdout) == (0, "serving --port=8080\n")


@pytest.mark.parametrize(
    "change",
    [
        lambda model: (model / "model.joblib").write_text("of somebody else"),
        lambda model: (model / "a-b").rename(model / "a-c"),
        lambda model: (model / "more").write_text(""),
        lambda model: (model / "a-b").unlink(),
    ],
    ids=["a changed file", "another name", "one more", "one less"],
)
def test_it_does_not_start_with_any_other(model, change):
    digest = digests.pinned(model)
    change(model)

    ended = start(model, digest, "echo", "serving")

    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"but {digest} is pinned (exampleModel.digest)" in ended.stderr
    assert (model.parent / "log").read_text() == ended.stderr.splitlines(keepends=True)[0], (
        "what kubectl describe shows"
    )


def test_no_two_models_have_one_listing_for_a_name_that_would_be_a_line_is_refused(model):
    digest = digests.pinned(model)
    lines = [f"{each}  ./{name}" for name, each in digests.of_files(model).items()]
    twin = model.parent / "twin"
    # the listing of the whole model, as that of one file
    listing = "\n".join(sorted(lines, key=lambda line: line.split("  ./")[1].encode()))
    first, _, rest = listing.partition("  ./")
    file = twin / rest
    file.parent.mkdir(parents=True)
    source = next(name for name, each in digests.of_files(model).items() if each == first)
    file.write_bytes((model / source).read_bytes())

    with pytest.raises(UsageError, match="no name for a file of a model"):
        digests.pinned(twin)
    ended = start(twin, digest, "echo", "serving")

    assert (ended.returncode, ended.stdout) == (1, "")
    assert "no name for a file of a model" in (model.parent / "log").read_text()


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "a\\b"])
def test_a_name_that_sha256sum_writes_in_another_way_is_refused_in_one_line(model, name):
    (model / name).write_text("x")

    with pytest.raises(UsageError, match="no name for a file of a model") as refused:
        digests.of_path(model)

    assert len(refused.value.message.splitlines()) == 1
    assert len(start(model, "sha256:", "echo").stderr.strip().splitlines()) == 1


def digest(model, folder, tmp_path):
    """Call `digest` in a folder."""
    return cli.run("digest", model, cwd=folder, env={**os.environ, "ML_SERVING_CI_CACHE": str(tmp_path / "cache")})


@pytest.mark.parametrize(
    ("add", "said"),
    [
        (lambda path: path.symlink_to("/etc/passwd"), "a link that leads out to /etc/passwd"),
        (os.mkfifo, "neither a file nor a folder"),
    ],
    ids=["link", "pipe"],
)
def test_a_folder_that_test_would_refuse_has_no_digest(model, tmp_path, add, said):
    add(model / "p")

    refused = digest(model, tmp_path, tmp_path)

    assert (refused.returncode, refused.stdout) == (2, "")
    assert said in " ".join(refused.stderr.split())


def test_a_mirror_of_the_project_is_asked_before_a_store(model, tmp_path, project):
    with (project / "ml-serving-ci.toml").open("a") as file:
        file.write('[models.mirrors]\n"s3://acme/" = "models"\n')
    model.rename(project / "models")

    found = digest("s3://acme/", tmp_path, tmp_path)

    assert found.stdout == f"{digests.pinned(project / 'models')}\n", found.stderr
