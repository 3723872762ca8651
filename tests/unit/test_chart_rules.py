"""The SLO rules, run by promtool over the series of tests/rules."""

import shutil
import subprocess

import yaml

from ci.paths import ROOT


def test_the_rules_record_and_alert_as_written_in_tests_rules(chart, promtool, tmp_path):
    rules = chart.render()["PrometheusRule", "ml-serving-slo-alerts"]["spec"]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules))
    tests = sorted((ROOT / "tests" / "rules").glob("*_test.yaml"))
    for test in tests:
        shutil.copy(test, tmp_path)
    for command in (["check", "rules", "rules.yaml"], ["test", "rules", *(test.name for test in tests)]):
        result = subprocess.run(
            [promtool, *command], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
        )
        assert result.returncode == 0, result.stdout + result.stderr
