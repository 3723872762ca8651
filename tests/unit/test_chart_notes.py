"""What the chart says when it is installed."""

import json
import shlex
import subprocess

import pytest

from ci.base.paths import CHART
from tests.harness.chart import MODEL
from tests.unit.conftest import KNOWN_ANSWER

COUNTS = "answer 500 to a row that the model cannot use, and every 5xx spends the error budget"


def installed(tool, tmp_path, *options):
    """The notes of an installation, each run of blanks as one."""
    result = subprocess.run(
        [
            tool("helm"),
            "install",
            "notes",
            CHART,
            "--dry-run=client",
            "--namespace=ml-serving",
            f"--values={MODEL}",
            *options,
        ],
        env={"HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "none")},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return " ".join(result.stdout.partition("\nNOTES:\n")[2].split())


@pytest.mark.parametrize(
    ("monitored", "canary", "says", "says_not"),
    [
        ("true", "true", [COUNTS, "and counts against a canary"], []),
        ("true", "false", [COUNTS], ["counts against a canary"]),
        ("false", "true", [], ["error budget"]),
    ],
)
def test_how_a_clients_wrong_row_counts_is_told_where_it_counts(tool, tmp_path, monitored, canary, says, says_not):
    notes = installed(
        tool, tmp_path, f"--set=features.sloMonitoring={monitored}", f"--set=features.canaryDeployment={canary}"
    )
    assert notes
    assert all(each in notes for each in says)
    assert not any(each in notes for each in says_not)


def test_the_known_request_is_shown_as_a_command_that_a_shell_takes(tool, tmp_path):
    known = {**KNOWN_ANSWER, "protocol": "json", "path": "/ask?n=1", "request": {"text": "it's"}}
    option = f"--set-json=exampleModel.knownAnswer={json.dumps(known)}"
    command = installed(tool, tmp_path, option).partition("and ask it: ")[2].partition(" or from inside")[0]
    *_, url, header, content, data, body = shlex.split(command.replace("\\ ", ""))
    assert (url, header, content) == ("http://localhost:8080/ask?n=1", "-H", "Content-Type: application/json")
    assert (data, json.loads(body)) == ("-d", {"text": "it's"})


def test_without_a_known_answer_nothing_is_shown_to_ask(tool, tmp_path):
    notes = installed(tool, tmp_path)
    assert "curl" not in notes
    assert "a canary that answers wrongly is not stopped" in notes
    assert "is not stopped" not in installed(tool, tmp_path, "--set=features.sloMonitoring=false")
