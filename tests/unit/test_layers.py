"""The layers of msrctl go in one direction, and only the user interface prints."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import msrctl

PACKAGE = Path(msrctl.__file__).parent
PURE = {"backup", "model", "plan", "registry", "storage", "tls", "transfer"}
BASE = {"errors", "secret", "accounts", "bootstrapper", "__init__"}
ADAPTERS = {"engine", "images"}

# What each layer may import of the others; a type alone (TYPE_CHECKING) is no dependency.
ALLOWED = {
    **dict.fromkeys(PURE | BASE, PURE | BASE),
    "engine": {"engine", "model"} | BASE,
    "images": {"images", "model"} | BASE,
    "workflows": {"workflows"} | PURE | BASE | ADAPTERS,
    "ui": {"ui", "plan", "model", "workflows", "images"} | BASE,
    "cli": {"cli", "ui", "workflows", "model"} | BASE,
    "__main__": {"cli"},
}
# Named exceptions: module and what it imports beyond its layer, each for a reason.
EXCEPTIONS = {
    # What is observed is made in the planner's own form; nothing of the plan is used.
    ("engine/observe.py", "plan"),
    # The image commands have no steps to order, so there is no workflow between them and the adapter.
    ("cli/images.py", "images"),
    ("cli/images.py", "engine"),
}


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Modules that a file imports at run time, anywhere in it."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def layers_of(modules: set[str]) -> set[str]:
    """Top-level parts of msrctl among modules."""
    parts = {module.split(".")[1] for module in modules if module.startswith("msrctl.")}
    return {part for part in parts if (PACKAGE / part).is_dir() or (PACKAGE / f"{part}.py").is_file()}


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_its_layer_may(path: Path) -> None:
    name = path.relative_to(PACKAGE)
    layer = name.parts[0].removesuffix(".py")
    assert layer in ALLOWED, f"say in ALLOWED what {layer} may import"
    beyond = {
        other for other in layers_of(imports(path)) - ALLOWED[layer] if (str(name), other) not in EXCEPTIONS
    }
    assert beyond == set()


def test_the_pure_packages_know_no_docker() -> None:
    for path in sources():
        name = path.relative_to(PACKAGE)
        if name.parts[0] in PURE:
            assert "docker" not in {module.partition(".")[0] for module in imports(path)}, name


def test_every_exception_is_still_needed() -> None:
    for name, other in EXCEPTIONS:
        assert other in layers_of(imports(PACKAGE / name)), (name, other)


def test_only_the_user_interface_prints() -> None:
    # What runs under msrctl node answers in JSON lines on stdout: a protocol, not text for people.
    allowed = {"transfer/pulse.py"}
    for path in sources():
        name = path.relative_to(PACKAGE)
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            if called == "print" or called.startswith(("sys.stdout.write", "sys.stderr.write")):
                assert str(name) in allowed or name.parts[0] == "ui", (name, node.lineno)
            if called in ("click.echo", "click.secho"):
                assert name.parts[0] in ("ui", "cli"), (name, node.lineno)


def test_modules_have_a_header_and_keep_their_size() -> None:
    for path in sources():
        text = path.read_text("utf-8")
        if path.parts[-2] not in ("cli", "ui"):
            continue
        assert ast.get_docstring(ast.parse(text)), path
        assert text.count("\n") <= 340, path
