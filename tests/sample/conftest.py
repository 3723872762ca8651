"""Tests of this repository as a project; a checkout that is only the tool has none."""

from ci import sample

collect_ignore_glob = [] if sample.is_there() else ["test_*.py"]
