"""Sync windows that the project file takes, read by Argo CD's own code, built from the pinned module.

Argo CD may take more; what the project file takes, it must take, and for the same.
"""

import itertools
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cronsim import CronSim

from ci import project
from ci.base import duration, schedule
from ci.base.errors import UsageError
from ci.tree import argocd
from tests.harness import upstream
from tests.unit.test_schedule import REFUSED, TAKEN

START = datetime(2024, 1, 1, tzinfo=UTC)
ITEMS = (
    "*", "*/2", "*/7", "*/40", "0", "1", "5", "7", "12", "31", "59", "60", "007", "1-5", "5-5", "5-1", "1-31", "0-6",
    "0-7", "1/2", "3/3", "0-30/10", "1-5/2", "5-5/2", "4-4/3", "1,3", "*,3", "3,*", "1-3,5", "1,,3", "?", "L", "15W",
    "1#2", "mon", "MON-FRI", "sun", "jan", "JUL", "jan-mar", "fri/2", "JAN-1/2", "H", "@daily", "*/0", "-1", "+1",
)  # fmt: skip
RANDOM = 6000


@pytest.fixture(scope="module")
def argo():
    """Read windows with Argo CD's own types."""
    program = upstream.built(Path(__file__).with_name("sync_windows.go"), "argo-cd")

    def read(windows):
        return program([{"kind": "allow", "schedule": "0 7 * * *", "duration": "1h"} | each for each in windows])

    return read


def taken(text):
    try:
        return schedule.checked(text)
    except UsageError:
        return None


def test_every_schedule_that_is_taken_opens_when_cron_says(argo):
    draw = random.Random(17)
    drawn = {" ".join(draw.choices(ITEMS, weights=[9, *[1] * (len(ITEMS) - 1)], k=5)) for _ in range(RANDOM)}
    # each item in each field, the others free
    single = {" ".join(["*"] * at + [item] + ["*"] * (4 - at)) for item in ITEMS for at in range(5)}
    days = {f"0 0 {one} * {other}" for one in ITEMS for other in ITEMS}
    ours = sorted(filter(None, map(taken, drawn | single | days | set(TAKEN))))
    assert len(ours) > 200

    for text, said in zip(ours, argo([{"schedule": text} for text in ours]), strict=True):
        assert said["Error"] == "", text
        opens = [int(at.timestamp()) for at in itertools.islice(CronSim(text, START), len(said["Opens"] or []))]
        assert opens and said["Opens"] == opens, text


def test_what_argo_cd_refuses_is_refused(argo):
    asked = [{"schedule": text} for text, _ in REFUSED]
    wrong = [each["schedule"] for each, said in zip(asked, argo(asked), strict=True) if said["Error"]]
    assert {"0 7 * * 7", "0 7 * * 5L", "@daily", "*/0 * * * *"} <= set(wrong)
    assert not [text for text in wrong if taken(text)]


@pytest.mark.parametrize("text", ["10h", "45", "2d", "1.5m", "0.0000001", f"{project.LONGEST_SECONDS}s"])
def test_a_duration_is_as_long_to_argo_cd(argo, text):
    (said,) = argo([{"duration": argocd.go_duration(text)}])
    assert said["Error"] == ""
    assert said["Seconds"] == pytest.approx(duration.seconds(text))


def test_the_longest_duration_is_argo_cds(argo):
    (said,) = argo([{"duration": f"{project.LONGEST_SECONDS + 1}s"}])
    assert "cannot parse duration" in said["Error"]


def test_a_description_is_as_long_as_argo_cd_takes(argo):
    fits, long = argo([{"description": "é" * 127}, {"description": "é" * 128}])
    assert len(("é" * 127).encode()) <= project.DESCRIPTION_BYTES < len(("é" * 128).encode())
    assert (fits["Error"], long["Error"]) == ("", "description must not exceed 255 characters")


def test_argo_cd_knows_every_zone_that_is_taken(argo):
    zones = sorted(project.zones())
    assert len(zones) > 300
    found = argo([{"timeZone": zone} for zone in zones])
    assert [said["TimeZone"] for said in found] == zones, "one that it does not know becomes UTC"
    (unknown,) = argo([{"timeZone": "Europe/Nowhere"}])
    assert unknown["TimeZone"] == "UTC"
