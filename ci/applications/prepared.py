"""A subject with all that it takes to prove it."""

from dataclasses import dataclass, replace

from ci.applications.deployment import Deployment
from ci.applications.subjects import Subject
from ci.behaviour.golden import COMPARED, Golden
from ci.results import Proof


@dataclass(frozen=True)
class Prepared:
    """A subject with all that it takes to prove it.

    Attributes:
        subject: The subject.
        candidate: Its candidate.
        champion: Its champion; None where there is none, or it cannot be had any more.
        golden: Its golden inputs, as the file has them.
        proof: Grows as it is proven.
    """

    subject: Subject
    candidate: Deployment
    champion: Deployment | None
    golden: Golden | None
    proof: Proof

    @property
    def installed(self) -> Deployment:
        """The set that is installed as its environment has it: what a canary starts from, or the candidate itself."""
        return self.champion if self.champion is not None and self.proof.starts_canary else self.candidate

    @property
    def bare(self) -> Deployment | None:
        """The set that is asked beside it, by a bare model server; None where there is no champion."""
        return self.champion if self.installed is self.candidate else self.candidate

    @property
    def asked(self) -> Golden | None:
        """The golden inputs, with the gates that the candidate is held to.

        Of a file that is of another model only those count that compare the candidate with its champion; unless that
        one is the model that was taken back, which nobody wants the candidate to be like.
        """
        why = self.subject.earlier
        if self.golden is None or why is None:
            return self.golden
        compared = self.champion is not None and (not why.taken_back or self._keeps_model(self.champion))
        return self.golden.held_to(*(COMPARED if compared else ()))

    def _keeps_model(self, champion: Deployment) -> bool:
        return champion.application.model == self.candidate.application.model

    def alone(self, why: str) -> "Prepared":
        """Return it without its champion, and have the proof say why."""
        self.proof.champion = None
        self.proof.rules.append(why)
        return replace(self, champion=None)
