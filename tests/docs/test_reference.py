"""Everything that a person can use is documented, and the reference shows all of it."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, fields
from enum import IntEnum
from pathlib import Path
from types import ModuleType

import click
import pytest

import mritk as package
from mritk import records, testing
from mritk.cli.main import EPILOG, cli
from mritk.errors import ExitCode
from mritk.evaluate.metric import Metric
from mritk.plugins import hookspecs
from mritk.plugins.loading import NOUNS
from reference_pages import PAGES, command_page, gaps, hook_page, record_page
from reference_pages.docstring import Docstring

ROOT = Path(__file__).parents[2]
HOOKS = [name for name in vars(hookspecs) if name.startswith("mritk_")]
COMMANDS = "reference/commands.md"


def commands(command: click.Command, *path: str) -> dict[tuple[str, ...], click.Command]:
    """Every command by its path, walked without the page's own code."""
    found = {path: command}
    for name, below in getattr(command, "commands", {}).items():
        found |= commands(below, *path, name)
    return found


# What a plugin's module may hold, and no variable of the environment.
NO_VARIABLES = {"MRITK_INTERFACE"}


def variables(text: str) -> set[str]:
    """The environment variables of mritk that a text names."""
    return set(re.findall(r"\b_?MRITK_[A-Z_]*[A-Z]\b", text)) - NO_VARIABLES


def undocumented_variables(sources: dict[Path, str], document: str) -> list[str]:
    """The variables that sources use and the table of a document does not list."""
    used = {name for text in sources.values() for name in variables(text)}
    listed = set(re.findall(r"^\| `(\w+)` \|", document, flags=re.MULTILINE))
    return sorted(used - listed)


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """The text of each generated page."""
    return {path: render() for path, render in PAGES.items()}


# -- nothing is undocumented -----------------------------------------------------------------------


@pytest.mark.slow
def test_nothing_is_undocumented():
    assert gaps() == []


def test_every_environment_variable_is_documented():
    folders = (ROOT / "mritk", ROOT / "plugins")
    sources = {path: path.read_text("utf-8") for root in folders for path in root.rglob("*.py")}
    document = (ROOT / "docs" / "running.md").read_text(encoding="utf-8")
    assert undocumented_variables(sources, document) == []


def test_no_environment_variable_is_documented_that_does_not_exist():
    document = (ROOT / "docs" / "running.md").read_text(encoding="utf-8")
    folders = (ROOT / "mritk", ROOT / "plugins")
    code = "\n".join(path.read_text("utf-8") for root in folders for path in root.rglob("*.py"))
    for name in re.findall(r"^\| `(\w+)` \|", document, flags=re.MULTILINE):
        if "MRITK" in name:
            assert f'"{name}"' in code, f"nothing reads {name}"


def test_every_exit_code_is_in_the_help_and_in_the_architecture():
    architecture = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    shown = architecture.partition("**Exit codes.**")[2].partition("\n\n")[0]
    for code in ExitCode:
        assert re.search(rf"\b{code.value} \w", EPILOG.partition("Exit codes:")[2])
        assert re.search(rf"(^|· ){code.value} \w", shown.strip().replace("\n", " "))


# -- the pages show all of it ----------------------------------------------------------------------


@pytest.mark.parametrize("name", HOOKS)
def test_the_page_of_hooks_shows(name, pages):
    """Signature, arguments and example of each hook."""
    section = pages["reference/hooks.md"].partition(f"\n## {name} ")[2].partition("\n## ")[0]
    specification = getattr(hookspecs, name)
    assert f"def {name}(" in section
    for argument in specification.__code__.co_varnames[: specification.__code__.co_argcount]:
        assert f"`{argument}`\n:   " in section
    for kind in NOUNS.get(name.removeprefix("mritk_"), ()):
        assert f"(records.md#{kind.__name__.lower()})" in section
    assert section.count("```python") == 2


@pytest.mark.parametrize("noun", NOUNS)
def test_the_example_of_a_noun_yields_its_records(noun):
    """With stand-ins for what an example leaves to the reader."""
    example = Docstring.of(getattr(hookspecs, f"mritk_{noun}")).sections["Example"]
    names = {node.id for node in ast.walk(ast.parse(example)) if isinstance(node, ast.Name)}
    given = {name: getattr(package, name) for name in package.__all__}
    given |= {name: (lambda *_: None) for name in names - set(given) - {"images"}}
    exec(example, given)
    yielded = list(given[f"mritk_{noun}"]())
    assert yielded
    assert all(isinstance(record, NOUNS[noun]) for record in yielded)
    assert 3 <= len(example.splitlines()) <= 8


@pytest.mark.parametrize(
    "name", [name for name in HOOKS if name.removeprefix("mritk_") not in NOUNS]
)
def test_the_example_of_a_moment_takes_arguments_that_there_are(name):
    """pluggy hands an implementation what it names; another name is an error."""
    specification = getattr(hookspecs, name)
    example = Docstring.of(specification).sections["Example"]
    (function,) = ast.parse(example).body
    assert function.name == name
    known = specification.__code__.co_varnames[: specification.__code__.co_argcount]
    assert {argument.arg for argument in function.args.args} <= set(known)
    assert 3 <= len(example.splitlines()) <= 8


@pytest.mark.parametrize(
    "kind", [value for value in vars(records).values() if isinstance(value, type)] + [Metric]
)
def test_the_page_of_records_shows(kind, pages):
    """Each field of each dataclass, with its type."""
    if kind.__module__ not in (records.__name__, Metric.__module__):
        return
    section = pages["reference/records.md"].partition(f"\n## {kind.__name__}\n")[2]
    section = section.partition("\n## ")[0]
    assert section
    shared = {"summary", "origin"} if kind is not records.Record else set()
    for field in fields(kind):
        if field.name not in shared:
            assert f"\n`{field.name}`: `{field.type}`" in section


@pytest.mark.parametrize("path", commands(cli, "mritk"), ids=" ".join)
def test_the_page_of_commands_shows(path, pages):
    """Each command with its usage and every option."""
    section = pages[COMMANDS].partition(f"# {' '.join(path)}\n")[2]
    section = re.split(r"^##+ mritk", section, maxsplit=1, flags=re.MULTILINE)[0]
    for parameter in commands(cli, "mritk")[path].params:
        if isinstance(parameter, click.Option):
            for spelling in parameter.opts:
                assert re.search(rf"^`.*{spelling}\b.*`\n:   \S", section, flags=re.MULTILINE)
        else:
            usage = section.partition("```text\n")[2].partition("\n```")[0]
            assert parameter.make_metavar(click.Context(cli)) in usage


def test_the_page_of_commands_says_what_help_says(mritk, pages):
    """Each word of ``mritk run --help`` is on the page, apart from markup."""
    text = mritk("run", "--help").out.replace("-\n", "-")
    section = pages[COMMANDS].partition("\n## mritk run\n")[2].partition("\n## ")[0]
    for word in re.findall(r"[A-Za-z]{3,}", text.partition("-h, --help")[0]):
        assert word in section or word in ("Usage", "Options")


def test_the_page_of_commands_shows_every_exit_code(pages):
    section = pages[COMMANDS].partition("\n## Exit codes\n")[2]
    for code in ExitCode:
        assert re.search(rf"^\| {code.value} \| \w.+ \|", section, flags=re.MULTILINE)


def test_pages_do_not_depend_on_the_machine(pages):
    for text in pages.values():
        assert str(Path.home()) not in text.replace("~", "")
        assert str(ROOT) not in text
        assert " at 0x" not in text


def test_every_public_name_is_on_a_page(pages):
    """All that a plugin may import, and what ``mritk.testing`` offers."""
    shown = pages["reference/records.md"] + pages["reference/names.md"]
    for name in [*package.__all__, *testing.__all__]:
        if name != "hookimpl":
            assert re.search(rf"^(##+ {name}|`{name}`)$", shown, flags=re.MULTILINE), name


def test_signatures_are_those_of_the_source(pages):
    """Types without quotation marks, defaults, and the star before keywords."""
    page, source = (
        pages["reference/names.md"],
        (ROOT / "mritk" / "files" / "download.py").read_text("utf-8"),
    )
    (shown,) = re.findall(r"```python\n(fetch_file\(.*?)\n```", page)
    (written,) = [
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef) and node.name == "fetch_file"
    ]
    (read,) = ast.parse(f"def {shown}: ...").body
    assert ast.unparse(read.args) == ast.unparse(written.args)
    assert "= `ExitCode.OK`" in page


# -- what is undocumented is found -----------------------------------------------------------------


def planted(source: str) -> ModuleType:
    """A module of hook specifications."""
    module = ModuleType("planted")
    exec(f"from mritk.plugins.hookspecs import hookspec\n{source}", module.__dict__)
    return module


def test_finds_a_hook_without_docstring():
    module = planted("@hookspec\ndef mritk_trial_retry(trial): ...")
    assert hook_page.gaps(module) == [
        "hook mritk_trial_retry: no docstring",
        "hook mritk_trial_retry: no Example",
        "hook mritk_trial_retry: argument trial is not under Args",
    ]


def test_finds_an_argument_that_was_added():
    source = "Told.\n\nArgs:\n    trial: It.\n\nExample:\n    pass\n"
    module = planted(f"@hookspec\ndef mritk_x(trial, attempt): {source!r}")
    assert hook_page.gaps(module) == ["hook mritk_x: argument attempt is not under Args"]


def test_tells_a_hook_whose_first_result_counts():
    module = planted("@hookspec(firstresult=True)\ndef mritk_x(): 'Asked.'")
    assert "answers alone" in hook_page._section("mritk_x", module.mritk_x)


def test_finds_a_field_that_was_added():
    @dataclass(frozen=True)
    class Longer(records.Alias):
        """An alias.

        Attributes:
            since: When it was introduced.
        """

        since: str = ""
        until: str = ""

    assert record_page.gaps([Longer]) == ["Longer.until is not under Attributes"]


def test_finds_a_record_without_docstring():
    @dataclass(frozen=True)
    class Bare:
        name: str

    assert record_page.gaps([Bare]) == ["Bare: no docstring", "Bare.name is not under Attributes"]


def test_finds_commands_and_options_without_help():
    @click.group()
    def program():
        """Documented."""

    @program.group()
    def inner():
        pass

    @inner.command()
    @click.option("--known", help="Known.")
    @click.option("-u", "--unknown")
    def leaf(known, unknown):
        """Documented."""

    assert command_page.gaps(program) == [
        "mritk inner: no help text",
        "mritk inner leaf -u: no help text",
    ]


def test_finds_an_exit_code_without_meaning():
    class Codes(IntEnum):
        """Some codes.

        Attributes:
            OK: Fine.
        """

        OK = 0
        LATE = 6

    assert command_page.exit_code_gaps(Codes) == ["exit code LATE: no meaning"]


def test_finds_an_environment_variable():
    sources = {Path("a.py"): 'environ.get("MRITK_HOME") or environ["MRITK_NEW_PLACE"]'}
    assert undocumented_variables(sources, "| `MRITK_HOME` | here |") == ["MRITK_NEW_PLACE"]
