"""What the chart says when it is installed."""

import subprocess

import pytest

from ci.base.paths import CHART

COUNTS = "answers 500 to a row that the model cannot use, and every 5xx spends the error budget"


@pytest.mark.parametrize(
    ("monitored", "canary", "says", "says_not"),
    [
        ("true", "true", [COUNTS, "and counts against a canary"], []),
        ("true", "false", [COUNTS], ["counts against a canary"]),
        ("false", "true", [], ["error budget"]),
    ],
)
def test_how_a_clients_wrong_row_counts_is_told_where_it_counts(tool, tmp_path, monitored, canary, says, says_not):
    values = {"sloMonitoring": monitored, "canaryDeployment": canary}
    result = subprocess.run(
        [
            *(tool("helm"), "install", "notes", CHART, "--dry-run=client", "--namespace=ml-serving"),
            *(f"--set=features.{name}={value}" for name, value in values.items()),
        ],
        env={"HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "none")},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    notes = " ".join(result.stdout.partition("\nNOTES:\n")[2].split())
    assert notes
    assert all(each in notes for each in says)
    assert not any(each in notes for each in says_not)
