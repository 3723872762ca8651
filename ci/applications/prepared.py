"""A subject with all that it takes to prove it."""

from dataclasses import dataclass, replace

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

    def alone(self, why: str) -> "Prepared":
        """Return it without its champion, and have the proof say why."""
        self.proof.champion = None
        self.proof.rules.append(why)
        return replace(self, champion=None)
