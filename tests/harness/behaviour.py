"""Golden inputs and answers for the tests of ci/behaviour, made by hand."""

from ci.behaviour.compare import Answer
from ci.behaviour.golden import Golden
from ci.results import Behaviour, ChangedAnswer, LatencyDifference, Proportion, Slice

HELD_TO_NOTHING = {"all": {"agreement": 0}}


def golden(expected, slices=None, gates=None, **fields):
    """Golden inputs with these answers; `slices` has the positions of each slice's inputs."""
    slices = slices or {}
    rows = [
        {
            "id": f"input-{number}",
            "instance": [float(number)],
            "expected": label,
            "slices": [name for name, inside in slices.items() if number in inside],
        }
        for number, label in enumerate(expected)
    ]
    content = {
        "name": "flowers",
        "version": 3,
        "source": "made for a test",
        "slices": dict.fromkeys(slices, "of a test"),
        "gates": gates or HELD_TO_NOTHING,
        "inputs": rows,
        **fields,
    }
    return Golden.model_validate(content)


def answers(*rounds, seconds=0.004):
    """A version's answers: the values of each round, None where it failed."""
    return [[answer(value, seconds) for value in values] for values in rounds]


def answer(value, seconds=0.004):
    return Answer(value, seconds, "503: busy" if value is None else "")


def share(count, total, low=0.9, high=1.0):
    return Proportion(count, total, low, high)


RESULT = Behaviour(
    golden="sklearn-iris",
    golden_version=1,
    champion="s3://models/sklearn-iris/v1",
    candidate="s3://models/sklearn-iris/v2",
    requests=1500,
    champion_failed=0,
    candidate_failed=3,
    slices=[
        Slice("all", share(146, 150, 0.933, 0.993), share(146, 150), share(148, 150, 0.953, 0.998), 1, 3, 0.625),
        Slice("boundary", share(23, 27, 0.663, 0.958), share(23, 27), share(25, 27, 0.757, 0.991), 1, 3, 0.0004),
        Slice("setosa", share(50, 50, 0.929, 1.0), share(50, 50), share(50, 50, 0.929, 1.0), 0, 0, 1.0),
    ],
    regressions=[ChangedAnswer("virginica-20", ["virginica", "boundary"], "2", "1")],
    latency=[
        LatencyDifference(50, 4.1, 4.9, 0.8, 0.7, 0.9),
        LatencyDifference(95, 8.0, 8.1, 0.1, -0.4, 0.6),
        LatencyDifference(99, 20.0, 18.0, -2.0, -6.0, 2.5),
    ],
    failures=[],
)
"""What a comparison may come to."""
