"""The sample, for the tests that are about it."""

from ci import sample

FACTS = sample.facts()
GOLDEN = FACTS.golden
KNOWN_ANSWER = FACTS.known_answer.model_dump()
