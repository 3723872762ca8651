"""Conditions of metrics: those that come to the same end here as with Argo Rollouts, and no others.

Argo Rollouts compiles a condition for the type of each result and evaluates it with expr (utils/evaluate/evaluate.go).
What is taken here is a part of expr that CEL writes in the same way, so CEL's grammar reads it; its types and values
are expr's. All else is refused. tests/upstream/test_conditions.py holds it against Argo Rollouts' own code.
"""

import json
import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, NoReturn

import lark
from celpy.celparser import CELParseError, CELParser

from ci.base.errors import CheckFailedError

DOCS = "docs/gates.md lists what a condition may have."
WORDS = {"and": "&&", "or": "||", "not": "!"}
"""Words of expr with the signs that mean the same."""
WORD = re.compile(rf"\b({'|'.join(WORDS)})\b")
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
"""Numbers that CEL, expr and Python write alike."""
EXACT = 2**53
"""A whole number beyond is another one as a float."""
MOST_NODES = 10_000
"""expr's own limit (conf.DefaultMaxNodes)."""
DEEPEST = 60


class Kind(Enum):
    """What a value is to expr; in words for people.

    `VALUE` is what only the answer tells: something in a JSON list.
    """

    NUMBERS = "a list of numbers"
    VALUES = "a list"
    NUMBER = "a number"
    WHOLE = "a whole number"
    TEXT = "text"
    TRUTH = "true or false"
    VALUE = "a value of any kind"


PROMETHEUS = (Kind.NUMBERS, Kind.NUMBER)
"""What Prometheus answers: a vector or a scalar."""
ANSWERS = (Kind.VALUES, Kind.NUMBER, Kind.TEXT, Kind.TRUTH)
"""What a model's known answer may be."""
LISTS = (Kind.NUMBERS, Kind.VALUES)
NUMERIC = (Kind.NUMBER, Kind.WHOLE)
COMPARED = {Kind.NUMBER: "number", Kind.WHOLE: "number", Kind.TEXT: "text", Kind.TRUTH: "truth"}
"""What may be compared with its like; not `VALUE`, of which nobody knows it before."""


class RefusedError(CheckFailedError):
    """A condition has what may come to another end with Argo Rollouts."""


class EvaluationError(Exception):
    """Argo Rollouts takes this result for an Error."""


class _MismatchError(Exception):
    """Expr does not compile this for a result of this kind."""


@dataclass(frozen=True)
class _Node:
    """A part of a condition.

    Attributes:
        kind: Of its value.
        value: Returns it for a result; raises `EvaluationError`.
    """

    kind: Kind
    value: Callable[[Any], Any]


def require(condition: str, kinds: Iterable[Kind]) -> None:
    """Refuse a condition that the gates cannot evaluate as Argo Rollouts does, or that is an Error whatever comes.

    Args:
        condition: Its text.
        kinds: What the result may be.

    Raises:
        RefusedError: What of it, and what to write.
    """
    mismatch = None
    for kind in kinds:
        try:
            _compiled(condition, kind)
        except _MismatchError as error:
            mismatch = mismatch or error
        else:
            return
    if mismatch is not None:
        raise RefusedError(f"{condition}: to Argo Rollouts always an Error: {mismatch}", fix=DOCS)


def holds(condition: str, result: Any, kind: Kind) -> bool:
    """Tell whether a condition holds.

    Args:
        condition: Its text.
        result: The answer that it is about.
        kind: What that is.

    Raises:
        EvaluationError: Argo Rollouts takes it for an Error.
        RefusedError: The condition has what may come to another end with Argo Rollouts.
    """
    try:
        return bool(_compiled(condition, kind).value(result))
    except _MismatchError as error:
        raise EvaluationError(str(error)) from error


@lru_cache(maxsize=1000)
def _parsed(condition: str) -> lark.Tree[lark.Token]:
    try:
        tree: lark.Tree[lark.Token] = CELParser().parse(condition)
    except CELParseError as error:
        words = [f"{WORDS[word]} for `{word}`" for word in dict.fromkeys(WORD.findall(condition))]
        fix = f"Write {', '.join(words)}. {DOCS}" if words else DOCS
        at = f" at character {error.column}" if error.column and error.column > 0 else ""
        raise RefusedError(f"{condition}: cannot be read{at}", fix=fix) from error
    nodes = sum(
        len(each.children) > 1 or each.data in ("ident", "literal", "ident_arg") for each in tree.iter_subtrees()
    )
    if nodes >= MOST_NODES:
        raise RefusedError(f"{condition[:40]}…: of more than {MOST_NODES} parts", fix="Compare less.")
    return tree


@lru_cache(maxsize=1000)
def _compiled(condition: str, kind: Kind) -> _Node:
    node = _Compiler(condition, kind).node(_parsed(condition))
    if node.kind is Kind.VALUE:
        raise RefusedError(f"{condition}: is {node.kind.value}", fix="Compare it with true.")
    if node.kind is not Kind.TRUTH:
        raise _MismatchError(f"it is {node.kind.value}, not true or false")
    return node


class _Compiler:
    """Makes a condition's parts, from CEL's tree of it.

    Args:
        condition: Its text.
        kind: What the result is.
    """

    def __init__(self, condition: str, kind: Kind) -> None:
        self._condition = condition
        self._kind = kind
        self._depth = 0

    def node(self, tree: lark.Tree[lark.Token]) -> _Node:
        """Return a part.

        Raises:
            RefusedError: It is none that is taken.
            _MismatchError: It is none to expr.
        """
        while len(tree.children) == 1 and tree.data not in ("ident", "literal", "ident_arg"):
            (only,) = tree.children
            if not isinstance(only, lark.Tree):
                break
            if tree.data == "list_lit":
                self._refuse(tree)
            tree = only
        self._depth += 1
        if self._depth > DEEPEST:
            raise RefusedError(f"{self._condition[:40]}…: nested more than {DEEPEST} levels deep", fix="Write less.")
        made = _PARTS.get(str(tree.data))
        if made is None:
            self._refuse(tree, fix=f"Join comparisons by && and ||. {DOCS}" if tree.data == "expr" else DOCS)
        found = made(self, tree)
        self._depth -= 1
        return found

    def _refuse(self, tree: lark.Tree[lark.Token] | lark.Token, fix: str = DOCS, why: str = "") -> NoReturn:
        part = self._text(tree)
        where = f"`{part}`" if part == self._condition else f"`{part}` in {self._condition}"
        raise RefusedError(f"{where}: {why or 'the gates cannot say what Argo Rollouts makes of it'}", fix=fix)

    def _mismatch(self, tree: lark.Tree[lark.Token], said: str) -> NoReturn:
        raise _MismatchError(f"`{self._text(tree)}`: {said}")

    def _text(self, tree: lark.Tree[lark.Token] | lark.Token) -> str:
        if isinstance(tree, lark.Token):
            return str(tree)
        if tree.meta.start_pos is tree.meta.end_pos:  # CEL's own parser loses the places of `true` and `false`
            return " ".join(map(str, tree.scan_values(lambda value: isinstance(value, lark.Token))))
        return self._condition[tree.meta.start_pos : tree.meta.end_pos]

    def joined(self, tree: lark.Tree[lark.Token]) -> _Node:
        """Return what && or || joins."""
        trees = _chain(tree)
        for each in trees:  # expr's optimizer drops what stands before a part that is always false
            if not any(each.find_data("ident")):
                self._refuse(tree, fix="Leave it out.", why=f"`{self._text(each)}` says nothing about the result")
        parts = [self.node(each) for each in trees]
        for part in parts:
            self._truth(tree, part)
        # in order, and no further than needed: an Error behind what decides is none, one before it is
        join = all if tree.data == "conditionaland" else any
        return _Node(Kind.TRUTH, lambda result: join(part.value(result) for part in parts))

    def _truth(self, tree: lark.Tree[lark.Token], node: _Node) -> None:
        if node.kind is Kind.VALUE:
            self._refuse(tree, fix="Compare each with true.", why=f"is asked of {node.kind.value}")
        if node.kind is not Kind.TRUTH:
            self._mismatch(tree, f"is asked of {node.kind.value}")

    def relation(self, tree: lark.Tree[lark.Token]) -> _Node:
        """Return a comparison."""
        sign, right_tree = _trees(tree)
        (left_tree,) = _trees(sign)
        if sign.data == "relation_in":
            self._refuse(tree, fix="Write a comparison with == for each, joined by ||.")
        if len(left_tree.children) > 1:
            self._refuse(tree, fix="Join two comparisons by &&.", why="compares what is compared already")
        left, right = self.node(left_tree), self.node(right_tree)
        compare, ordered = _COMPARISONS[str(sign.data)]
        kinds = (left.kind, right.kind)
        if Kind.VALUE in kinds:
            return self._at_run(tree, left, right, compare, ordered=ordered)
        if all(kind in LISTS for kind in kinds):
            self._refuse(tree)
        likes = {COMPARED.get(kind, kind) for kind in kinds}
        if len(likes) > 1 or (ordered and Kind.TRUTH in kinds):
            self._mismatch(tree, f"compares {left.kind.value} with {right.kind.value}")
        return _Node(Kind.TRUTH, lambda result: compare(left.value(result), right.value(result)))

    def _at_run(
        self,
        tree: lark.Tree[lark.Token],
        left: _Node,
        right: _Node,
        compare: Callable[[Any, Any], bool],
        *,
        ordered: bool,
    ) -> _Node:
        """Return a comparison of what only the answer tells the kind of."""
        others = [each.kind for each in (left, right) if each.kind is not Kind.VALUE]
        if not others or others[0] not in COMPARED:
            self._refuse(tree)
        if ordered and others[0] is Kind.TRUTH:
            self._mismatch(tree, f"compares {left.kind.value} with {right.kind.value}")

        def compared(result: Any) -> bool:
            values = left.value(result), right.value(result)
            if len({_like(each) for each in values}) == 1:
                return compare(*values)
            if ordered:
                raise EvaluationError(f"`{self._text(tree)}` compares {values[0]!r} with {values[1]!r}")
            return compare is operator.ne

        return _Node(Kind.TRUTH, compared)

    def calculation(self, tree: lark.Tree[lark.Token]) -> _Node:
        """Return a sum, a difference, a product or a quotient."""
        sign, right_tree = _trees(tree)
        (left_tree,) = _trees(sign)
        calculate = _CALCULATIONS.get(str(sign.data))
        if calculate is None:
            self._refuse(tree)
        left, right = self.node(left_tree), self.node(right_tree)
        kinds = (left.kind, right.kind)
        if Kind.VALUE in kinds or set(kinds) == {Kind.TEXT}:
            self._refuse(tree)
        if not all(kind in NUMERIC for kind in kinds):
            self._mismatch(tree, f"calculates with {left.kind.value} and {right.kind.value}")
        if Kind.NUMBER not in kinds:  # expr's own whole numbers end at 64 bits
            self._refuse(tree, fix="Write one of them with a decimal point.", why="calculates with whole numbers alone")
        return _Node(Kind.NUMBER, lambda result: calculate(left.value(result), right.value(result)))

    def unary(self, tree: lark.Tree[lark.Token]) -> _Node:
        """Return what has a sign before it."""
        sign, operand = _trees(tree)
        inner = self.node(operand)
        if sign.data == "unary_not":
            self._truth(tree, inner)
            return _Node(Kind.TRUTH, lambda result: not inner.value(result))
        if inner.kind is Kind.VALUE:
            self._refuse(tree)
        if inner.kind not in NUMERIC:
            self._mismatch(tree, f"is asked of {inner.kind.value}")
        return _Node(inner.kind, lambda result: -inner.value(result))

    def element(self, tree: lark.Tree[lark.Token]) -> _Node:
        """Return an element of a list."""
        list_tree, index_tree = _trees(tree)
        number = self._text(index_tree)
        if not NUMBER.fullmatch(number) or not number.removeprefix("-").isdecimal():
            self._refuse(tree, fix="Write a whole number between the brackets.")
        listed, index = self.node(list_tree), int(number)
        if listed.kind is Kind.VALUE:
            self._refuse(tree)
        if listed.kind not in LISTS:
            self._mismatch(tree, f"there is no list, but {listed.kind.value}")

        def element(result: Any) -> Any:
            found = listed.value(result)
            if not -len(found) <= index < len(found):
                raise EvaluationError(f"`{self._text(tree)}`: there are {len(found)}")
            return found[index]

        return _Node(Kind.NUMBER if listed.kind is Kind.NUMBERS else Kind.VALUE, element)

    def name(self, tree: lark.Tree[lark.Token]) -> _Node:
        """Return the result."""
        if self._text(tree) != "result":
            self._refuse(tree, fix=f"The answer is called `result`. {DOCS}")
        return _Node(self._kind, lambda result: result)

    def literal(self, tree: lark.Tree[lark.Token]) -> _Node:
        """Return what is written out."""
        (token,) = tree.children
        assert isinstance(token, lark.Token)
        kind, value = self._constant(token)
        return _Node(kind, lambda _: value)

    def _constant(self, written: lark.Token) -> tuple[Kind, Any]:
        if written.type == "BOOL_LIT":
            return Kind.TRUTH, written == "true"
        if written.type == "STRING_LIT":
            return Kind.TEXT, self._quoted(written)
        if not NUMBER.fullmatch(written):
            self._refuse(written, fix="Write a number in decimal digits, or text in double quotes.")
        if written.type == "FLOAT_LIT":
            if math.isinf(float(written)):
                self._refuse(written, why="is larger than a float can be")
            return Kind.NUMBER, float(written)
        if abs(int(written)) > EXACT:
            self._refuse(written, fix=f"Write it as {written}.0.", why="is too large a whole number")
        return Kind.WHOLE, int(written)

    def _quoted(self, token: lark.Token) -> str:
        """Return a text that expr reads as JSON does, or that has nothing to read in another way."""
        if token.startswith("'") and "\\" not in token:
            return str(token[1:-1])
        try:
            text = json.loads(token)
            text.encode()  # half of a character has no UTF-8
        except ValueError:
            text = None
        if text is None or "\\/" in token.replace(r"\\", ""):  # the one escape of JSON that expr does not know
            self._refuse(token, fix="Write it in double quotes, with no escapes but those of JSON.")
        return str(text)

    def call(self, tree: lark.Tree[lark.Token]) -> _Node:
        """Return what a function makes of a value."""
        name, *listed = tree.children
        arguments = [*_trees(listed[0])] if listed and isinstance(listed[0], lark.Tree) else []
        if name == "default":
            self._refuse(tree, fix="Write len(result) == 0 || …: what Prometheus answers is never nil.")
        if name == "asInt":
            self._refuse(tree, fix="Compare the number itself: NaN as a whole number is another one on each machine.")
        make = _FUNCTIONS.get(str(name))
        if make is None or len(arguments) != 1:
            self._refuse(tree, fix=f"There are {', '.join(_FUNCTIONS)}, each of one value. {DOCS}")
        argument = self.node(arguments[0])
        kinds, kind, call = make
        if argument.kind not in kinds:
            if name in _UNTYPED or argument.kind in (Kind.VALUE, Kind.WHOLE):
                self._refuse(tree, why=f"is asked of {argument.kind.value}")
            self._mismatch(tree, f"is asked of {argument.kind.value}")
        return _Node(kind, lambda result: call(argument.value(result)))


def _trees(tree: lark.Tree[lark.Token]) -> Iterator[lark.Tree[lark.Token]]:
    return (each for each in tree.children if isinstance(each, lark.Tree))


def _chain(tree: lark.Tree[lark.Token]) -> Sequence[lark.Tree[lark.Token]]:
    """Return what one sign joins: CEL's tree of a long condition is as deep as that is long."""
    found: list[lark.Tree[lark.Token]] = []
    sign = tree.data
    while tree.data == sign and len(tree.children) > 1:
        tree, last = _trees(tree)
        found.append(last)
    return [tree, *reversed(found)]


def _like(value: Any) -> str:
    return "truth" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"


def _divided(value: float, by: float) -> float:
    if by:
        return value / by
    return math.nan if not value or math.isnan(value) else math.copysign(math.inf, value) * math.copysign(1, by)


_PARTS: dict[str, Callable[[_Compiler, lark.Tree[lark.Token]], _Node]] = {
    "conditionalor": _Compiler.joined,
    "conditionaland": _Compiler.joined,
    "relation": _Compiler.relation,
    "addition": _Compiler.calculation,
    "multiplication": _Compiler.calculation,
    "unary": _Compiler.unary,
    "member_index": _Compiler.element,
    "ident": _Compiler.name,
    "literal": _Compiler.literal,
    "ident_arg": _Compiler.call,
}
"""How each part of CEL's grammar is made."""
_COMPARISONS: dict[str, tuple[Callable[[Any, Any], bool], bool]] = {
    "relation_lt": (operator.lt, True),
    "relation_le": (operator.le, True),
    "relation_gt": (operator.gt, True),
    "relation_ge": (operator.ge, True),
    "relation_eq": (operator.eq, False),
    "relation_ne": (operator.ne, False),
}
"""Each with whether it asks for an order."""
_CALCULATIONS: dict[str, Callable[[Any, Any], float]] = {
    "addition_add": operator.add,
    "addition_sub": operator.sub,
    "multiplication_mul": operator.mul,
    "multiplication_div": _divided,
}
_FUNCTIONS: dict[str, tuple[Sequence[Kind], Kind, Callable[[Any], Any]]] = {
    "len": ((*LISTS, Kind.TEXT), Kind.WHOLE, len),
    "isNaN": ((Kind.NUMBER,), Kind.TRUTH, math.isnan),
    "isInf": ((Kind.NUMBER,), Kind.TRUTH, math.isinf),
    "asFloat": (NUMERIC, Kind.NUMBER, float),
    # of no result that is judged here, an empty list included
    "isNil": ((*LISTS, Kind.NUMBER, Kind.TEXT, Kind.TRUTH), Kind.TRUTH, lambda _: False),
}
"""What each takes, gives and does."""
_UNTYPED = ("asFloat", "isNil")
"""Of these expr tells at the evaluation alone what it takes."""
