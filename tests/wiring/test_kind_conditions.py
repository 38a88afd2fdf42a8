"""How often the code outside `schema` asks which kind of task, layout, answer or transform it has.

A new kind is a new class, not a new branch in twenty files. So conditions on a kind are counted, however they are
spelled: `isinstance`, `match`, a comparison, a truth test or a look-up keyed on the kind. Objects that answer for
themselves need none.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("src", "flows", "bentos", "monitoring", "ui")
OUTSIDE = ("src/okawari/schema/",)
"""The home of kinds; what stands there is no question about them."""

MOST = 12

KIND_ATTRIBUTES = {
    "is_series",
    "is_forecast",
    "is_record",
    "in_order",
    "is_share",
    "labels",
    "learns",
    "layout",
    "task",
    "transform",
    "kind_of",
}
KIND_NAMES = {"labels", "learns", "in_order", "ordered", "is_series", "is_forecast"}
KIND_WORDS = {"growth", "difference", "log_return", "label"}
ANSWERS = {"Prediction", "Outlook", "Estimate", "Label", "RecordAnswer"}


def _list_kind_classes() -> set[str]:
    """Classes of the schema, and the types of answers that stand for a kind of task."""
    homes = [path for path in ROOT.glob("src/okawari/**/*.py") if _name(path).startswith(OUTSIDE)]
    trees = [ast.parse(path.read_text()) for path in homes]
    classes = {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    unions = {
        target.id
        for tree in trees
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value, ast.BinOp)
    }
    return (classes | unions | ANSWERS) - {"Column", "AtLeast"}


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def list_conditions(tree: ast.AST, kinds: set[str]) -> list[ast.expr]:
    """Every condition on a kind in a module, each place once."""
    found = {(node.lineno, node.col_offset): node for each in _list_tests(tree) for node in _find_kinds(each, kinds)}
    found |= {(node.lineno, node.col_offset): node for node in _find_look_ups(tree, kinds)}
    return list(found.values())


def _list_tests(tree: ast.AST) -> Iterator[ast.expr]:
    """Expressions whose truth decides something."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If | ast.IfExp | ast.While | ast.Assert):
            yield node.test
        elif isinstance(node, ast.comprehension):
            yield from node.ifs
        elif isinstance(node, ast.BoolOp):
            yield from node.values
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield node.operand
        elif isinstance(node, ast.Compare) or (
            isinstance(node, ast.Call) and ast.unparse(node.func) in ("any", "all", "filter", "bool", "isinstance")
        ):
            yield node
        elif isinstance(node, ast.Match):
            yield node.subject
            yield from (case.guard for case in node.cases if case.guard is not None)


def _find_kinds(test: ast.expr, kinds: set[str]) -> Iterator[ast.expr]:
    """The parts of a condition that ask for a kind."""
    if _asks_kind(test, kinds):
        yield test
    else:
        for part in _list_parts(test):
            yield from _find_kinds(part, kinds)


def _asks_kind(test: ast.expr, kinds: set[str]) -> bool:
    if isinstance(test, ast.Attribute):
        return test.attr in KIND_ATTRIBUTES
    if isinstance(test, ast.Name):
        return test.id in KIND_NAMES
    if isinstance(test, ast.Call) and ast.unparse(test.func) == "isinstance":
        return bool({node.id for node in ast.walk(test.args[1]) if isinstance(node, ast.Name)} & kinds)
    return isinstance(test, ast.Compare) and _compares_kinds(test, kinds)


def _list_parts(test: ast.expr) -> Sequence[ast.expr]:
    """The conditions that a condition consists of."""
    if isinstance(test, ast.Call) and ast.unparse(test.func) in ("any", "all", "bool", "filter"):
        return [part.elt if isinstance(part, ast.GeneratorExp | ast.ListComp) else part for part in test.args]
    if isinstance(test, ast.BoolOp):
        return test.values
    return [test.operand] if isinstance(test, ast.UnaryOp) else []


def _compares_kinds(test: ast.Compare, kinds: set[str]) -> bool:
    sides = [test.left, *test.comparators]
    named = any(isinstance(side, ast.Attribute) and side.attr in KIND_ATTRIBUTES for side in sides)
    spelled = any(isinstance(side, ast.Constant) and side.value in KIND_WORDS for side in sides)
    typed = any(ast.unparse(side) in kinds for side in sides)
    return named or spelled or typed


def _find_look_ups(tree: ast.AST, kinds: set[str]) -> Iterator[ast.expr]:
    """Values chosen from a table by a kind: `table[case.learns]`, `table[type(task)]`, `table.get(head.kind)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and _is_kind_key(node.slice):
            yield node
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
            if node.args and _is_kind_key(node.args[0]):
                yield node
        elif isinstance(node, ast.Dict) and any(key is not None and ast.unparse(key) in kinds for key in node.keys):
            yield node


def _is_kind_key(key: ast.expr) -> bool:
    if isinstance(key, ast.Call) and ast.unparse(key.func) == "type":
        return isinstance(key.args[0], ast.Name | ast.Attribute)
    return isinstance(key, ast.Attribute) and key.attr in {"learns", "is_series", "is_forecast", "kind_of", "transform"}


def count_conditions() -> dict[str, list[str]]:
    """Conditions on a kind by file, outside `schema`."""
    kinds = _list_kind_classes()
    paths = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
    named = {_name(path): list_conditions(ast.parse(path.read_text()), kinds) for path in paths}
    return {
        name: [f"{node.lineno}: {ast.unparse(node)}" for node in found]
        for name, found in named.items()
        if found and not name.startswith(OUTSIDE)
    }


def test_objects_answer_for_themselves() -> None:
    found = count_conditions()
    total = sum(map(len, found.values()))
    assert total <= MOST, "\n".join([f"{total} conditions on a kind, at most {MOST}:", *map(str, found.items())])


def test_every_spelling_of_a_condition_is_counted() -> None:
    spellings = (
        "x = 1 if case.is_series else 2",
        "if isinstance(task, Forecast): pass",
        "if not head.labels: pass",
        "y = [each for each in heads if each.labels]",
        "y = all(head.labels for head in heads)",
        "y = case.learns == 'difference'",
        "y = TABLE[case.learns]",
        "y = TABLE[type(task)]",
        "y = TABLE.get(type(head), None)",
        "match case.task:\n    case Forecast(): pass",
        "assert case.is_forecast",
        "y = case.is_series and 3",
        "y = type(task) is Forecast",
        "y = {Forecast: 1}[kind]",
    )
    missed = [text for text in spellings if not list_conditions(ast.parse(text), {"Forecast"})]
    assert missed == []
