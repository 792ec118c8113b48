"""The house's own rules (docs/design.md 2): imports, privacy, sizes, words of messages, examples of the public face."""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("extract", "feature_cache", "score")
BELOW = {
    "extract": {"extract", "feature_cache"},
    "score": {"score", "feature_cache"},
    "feature_cache": {"feature_cache"},
}
MOST_LINES, MOST_LINES_A_FUNCTION = 400, 60
THEIRS = ("os._exit",)
"""Public all the same."""


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the packages, parsed."""
    found = {}
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            found[name] = ast.parse(file.read_text(encoding="utf-8"))
    return found


def file_of(name: str) -> Path:
    path = ROOT / name.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def typing_only(tree: ast.Module) -> set[ast.AST]:
    """What stands under `if TYPE_CHECKING`."""
    found: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            found |= {each for part in node.body for each in ast.walk(part)}
    return found


def imported(name: str) -> Iterator[tuple[str, str]]:
    """Modules of ours that a module imports, in functions too, and the name taken from each ("" for all of it)."""
    tree = modules()[name]
    aside = typing_only(tree)
    for node in ast.walk(tree):
        if node in aside:
            continue
        if isinstance(node, ast.Import):
            yield from ((each.name, "") for each in node.names if each.name.split(".")[0] in PACKAGES)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in PACKAGES:
            for each in node.names:
                below = f"{node.module}.{each.name}"
                yield (below, "") if below in modules() else (node.module, each.name)


def test_imports_go_one_way() -> None:
    for name in modules():
        package = name.split(".")[0]
        assert {other.split(".")[0] for other, _ in imported(name)} <= BELOW[package], name


def test_no_circles() -> None:
    """Names that a package imports when they are first asked for are no imports of its own."""
    graph = {name: {other for other, _ in imported(name) if other in modules()} for name in modules()}
    done: set[str] = set()

    def visit(name: str, way: list[str]) -> None:
        assert name not in way, " -> ".join([*way[way.index(name) :], name])
        if name in done:
            return
        for other in sorted(graph[name]):
            visit(other, [*way, name])
        done.add(name)

    for name in graph:
        visit(name, [])


def test_nobody_touches_anothers_private_parts() -> None:
    for name, tree in modules().items():
        private = [(other, what) for other, what in imported(name) if what.startswith("_") and not what.endswith("__")]
        assert not private, f"{name} imports {private}"
        own = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and on_self(node)}
        own |= {each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.ClassDef)}
        own |= {
            each.target.id
            for each in ast.walk(tree)
            if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.Attribute) or not re.match(r"_[^_]", node.attr) or on_self(node):
                continue
            assert node.attr in own or ast.unparse(node) in THEIRS, f"{name}, line {node.lineno}: {ast.unparse(node)}"


def on_self(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


def test_sizes() -> None:
    for name, tree in modules().items():
        assert len(file_of(name).read_text(encoding="utf-8").splitlines()) <= MOST_LINES, name
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) is not None else node.body
                lines = (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
                assert lines <= MOST_LINES_A_FUNCTION, f"{name}.{node.name} has {lines} lines"


def test_the_library_speaks_of_arguments() -> None:
    """Options and commands are the command's words; training and fetching are commands of their own."""
    flags = re.compile(r"(?<![\w-])--[a-z]|`av2a [a-z]|\bav2a (extract|score|search|verify|info|import|export|text) ")
    for name, tree in modules().items():
        if name.startswith(("extract.demo.training", "score.view.vendored")):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not flags.search(node.value), f"{name}, line {node.lineno}: {node.value[:200]!r}"


@pytest.mark.parametrize("package", PACKAGES)
def test_the_public_face(package: str) -> None:
    """Everything public is there and is listed; the docstring of a function has an example."""
    module = importlib.import_module(package)
    assert set(module.__all__) <= set(dir(module))
    for name in module.__all__:
        found = getattr(module, name)
        assert not callable(found) or found.__doc__, f"{package}.{name}"
        if inspect.isfunction(found):
            assert "Example:" in (found.__doc__ or ""), f"{package}.{name}"


def test_no_paths_of_a_machine() -> None:
    for name in modules():
        assert not re.search(r"/(home|root|work|Users)/\w", file_of(name).read_text(encoding="utf-8")), name


def test_no_merge_is_left_half_done() -> None:
    marks = re.compile(r"^(<{7}|>{7}) ", re.MULTILINE)
    files = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *map(file_of, modules()), *ROOT.glob("*.py")]
    assert [str(file) for file in files if marks.search(file.read_text(encoding="utf-8"))] == []
