"""A subject with all that it takes to prove it."""

from dataclasses import dataclass

from ci.applications.deployment import Deployment
from ci.applications.subjects import Subject
from ci.behaviour.golden import Golden
from ci.results import Proof


@dataclass(frozen=True)
class Prepared:
    """A subject with all that it takes to prove it.

    Attributes:
        subject: The subject.
        candidate: Its candidate.
        champion: Its champion; None where there is none, or it cannot be had any more.
        golden: Its golden inputs.
        proof: Grows as it is proven.
    """

    subject: Subject
    candidate: Deployment
    champion: Deployment | None
    golden: Golden | None
    proof: Proof
