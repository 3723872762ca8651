"""docs/your-model.md as far as it needs no Docker: what it writes is a project that `lint` has no error to say against.

tests/guide follows all of it, to a green run.
"""

import yaml

from ci.base.paths import CHART, ROOT
from ci.models import digests
from tests.harness import chart, guide, lint

SECONDS = 300
BLOCKS = guide.blocks()


def test_docker_is_needed_to_check_and_to_prove_alone():
    assert [block.calls for block in BLOCKS if block.in_docker] == [["lint"], ["test"], ["test"]]


def test_an_empty_folder_becomes_a_project_whose_next_version_is_planned(tmp_path):
    ended = guide.follow(tmp_path, [block for block in BLOCKS if not block.in_docker], seconds=SECONDS)

    assert ended.returncode == 0, ended.stderr
    planned = ended.stdout.splitlines()[-1]
    assert planned.split()[:2] == ["dev/deliveries", "changed"]
    assert yaml.safe_load((tmp_path / "gitops/dev/deliveries.yaml").read_text())["model"] == {
        "version": "2",
        "storageUri": "s3://acme-models/deliveries/2",
        "digest": digests.pinned(tmp_path / "models" / "deliveries" / "2"),
    }
    assert not (tmp_path / "gitops/live/deliveries.yaml").exists(), "it is promoted there"
    (tmp_path / "gitops/dev/reviews.yaml").write_text(guide.fenced("your-model", "yaml")[0])
    (questions,) = [text for text in guide.fenced("behaviour", "yaml") if text.startswith("name: reviews")]
    (tmp_path / "golden/reviews.yaml").write_text(questions)
    chart.with_example(tmp_path / CHART.relative_to(ROOT))
    warned = [(each.file, each.severity, each.message.partition(":")[0]) for each in lint.findings(tmp_path)]
    assert warned == [(f"gitops/dev/{name}.yaml", "warning", "image.digest") for name in ("deliveries", "reviews")]
