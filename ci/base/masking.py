"""Secrets within a text, such as a configuration file or a command line: found by place, by form and by entropy.

A digest or a commit is of one case, and a name or an address is made of words: none of them is taken for a secret.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator

HIDDEN = "***"
USERINFO = re.compile(r"://([^/@\s]+)@")
"""What stands before the host in a URL."""

PLACES = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?P<secret>.*?)(?=-----END|\Z)", re.DOTALL),
    re.compile(
        r"""(?ix) authorization ["']? \s* [:=] \s* ["']? (?: (?:bearer|basic|token) \s+ )? (?P<secret>[^\s"']+)"""
    ),
    re.compile(
        r"""(?ix) (?:password|passwd|passphrase|token|secret|credential|(?:api|access|private)[_-]?key)
        [\w.-]{0,64} ["']? [ \t]* [:=] [ \t]*
        (?: "(?P<double>(?:\\.|[^"\\\n])+)"
          | '(?P<single>(?:''|[^'\n])+)'
          | (?P<block>[|>][-+\d]*[ \t]*(?:\n[ \t]+[^\n]*)+)
          | (?P<line>[^\s{\[][^\n]*) )"""
    ),
    USERINFO,
)
"""Where a secret stands."""

FORMS = re.compile(
    r"""(?x) (?<![A-Za-z0-9])
    ( (?:AKIA|ASIA)[A-Z0-9]{16}                                   # AWS: https://docs.aws.amazon.com/IAM, unique ids
    | gh[pousr]_[A-Za-z0-9]{36,255} | github_pat_\w{22,255}       # GitHub
    | gl(?:pat|ptt|rt|dt|cbt)-[\w-]{20,64}                        # GitLab
    | hf_[A-Za-z0-9]{30,64} | sk-[\w-]{20,255} | sk_live_\w{20,255}
    | xox[abeoprs]-[\w-]{10,255} | AIza[\w-]{35} | dckr_pat_[\w-]{20,64} | npm_[A-Za-z0-9]{36} | hv[sb]\.[\w-]{20,255}
    | eyJ[\w-]{8,4096}\.eyJ[\w-]{8,8192}\.[\w-]{8,2048}           # a JSON Web Token, RFC 7519
    )"""
)
"""How secrets look by which their makers know them: they publish these forms for scanners to find."""

TOKEN = re.compile(r"(?<![\w+/.-])[A-Za-z0-9+_-]{24,512}={0,2}(?![\w+/.-])")
CASES = tuple(re.compile(each) for each in ("[a-z]", "[A-Z]", "[0-9]"))
BITS = 4.25
"""Entropy of a character, in bits: random ones in base64 have 4.3 and more from 24 on; words and names have less."""


def spans(text: str) -> list[tuple[int, int]]:
    """Return where secrets stand in a text, in order; none is within another, or what was hidden already.

    Args:
        text: Of any size: the time is linear in it.
    """
    found: list[tuple[int, int]] = []
    for start, end in sorted(_all(text)):
        if found and start < found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        elif not text.startswith(HIDDEN, start):
            found.append((start, end))
    return found


def _all(text: str) -> Iterator[tuple[int, int]]:
    for pattern in (*PLACES, FORMS):
        for match in pattern.finditer(text):
            yield match.span(next(number for number, value in enumerate(match.groups(), 1) if value is not None))
    for match in TOKEN.finditer(text):
        if all(case.search(match[0]) for case in CASES) and _entropy(match[0]) >= BITS:
            yield match.span()


def _entropy(text: str) -> float:
    """Return Shannon's entropy of a text's characters, in bits a character."""
    return -sum(number / len(text) * math.log2(number / len(text)) for number in Counter(text).values())
