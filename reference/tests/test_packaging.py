"""The distribution: what is in it, what it asks for, and that it works outside the checkout."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from pathlib import Path

import msgspec
import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRA_OF = {"gate-p2p": "iroh", "gate-conformance": "conformance"}
MODULE_OF = {"gate-p2p": "gate_p2p.cli", "gate-conformance": "gate_conformance.cli"}

# Starts an entry point in a process for which the modules named in argv[1] do not exist.
BLOCKED = """
import sys
from importlib import import_module

sys.modules.update(dict.fromkeys(filter(None, sys.argv[1].split(","))))
module = sys.argv[2]
sys.argv[:] = sys.argv[3:]
sys.exit(import_module(module).main())
"""


def requirements_of(extra: str) -> list[str]:
    """The names that an extra asks for."""
    return [Requirement(text).name for text in PROJECT["optional-dependencies"][extra]]


def run_without(blocked: Sequence[str], command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BLOCKED, ",".join(blocked), MODULE_OF[command], command, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


# What is looked for when a target or an option takes it, not before.
LATE = {("gate-conformance", "iroh"), ("gate-conformance", "dnspython")}


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        (command, name)
        for command, extra in EXTRA_OF.items()
        for name in requirements_of(extra)
        if (command, name) not in LATE
    ],
)
def test_a_command_without_its_extra_says_so_in_one_line(command: str, missing: str) -> None:
    done = run_without([missing], command, "--help")
    extra = EXTRA_OF[command]
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == f"{command} needs the extra \"{extra}\": pip install 'gate-p2p[{extra}]'\n"


def test_the_suite_needs_iroh_for_a_target_over_iroh_alone() -> None:
    assert run_without(["iroh"], "gate-conformance", "list").returncode == 0
    done = run_without(["iroh"], "gate-conformance", "run", f"iroh:{'a' * 64}@127.0.0.1:1")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "pip install 'gate-p2p[conformance]'" in done.stderr


@pytest.mark.parametrize("command", EXTRA_OF)
def test_a_command_with_its_extra_runs(command: str) -> None:
    done = run_without((), command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert command in done.stdout


# -- Pins ---------------------------------------------------------------------------------------


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_the_constraints_are_plain_pins_without_hosts_or_markers() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pattern = re.compile(r"(?:#.*|[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][0-9A-Za-z.]*)?")
    assert [line for line in lines if not pattern.fullmatch(line)] == []
    assert [line for line in lines if "://" in line] == []


def test_every_direct_dependency_is_pinned_within_its_range() -> None:
    asked = [
        *PROJECT["dependencies"],
        *(text for extra in PROJECT["optional-dependencies"].values() for text in extra),
    ]
    pinned = {name.lower().replace("_", "-"): version for name, version in pins().items()}
    outside = [
        text
        for text in asked
        if (wanted := Requirement(text)).name != "gate-p2p"
        and not (wanted.name in pinned and wanted.specifier.contains(pinned[wanted.name]))
    ]
    assert outside == []


# -- Wheel and source distribution --------------------------------------------------------------


@dataclass(frozen=True)
class Built:
    """The files of one build: a source distribution, and the wheel that was built from it."""

    wheel: Path
    sdist: Path
    unpacked: Path

    def metadata(self) -> Message:
        (path,) = self.unpacked.glob("*.dist-info/METADATA")
        return Parser().parsestr(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    directory = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(directory), str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,), (sdist,) = directory.glob("*.whl"), directory.glob("*.tar.gz")
    unpacked = directory / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    return Built(wheel, sdist, unpacked)


def files(root: Path, *tops: str) -> set[str]:
    """The files below some directories, relative to the root, without caches."""
    return {
        path.relative_to(root).as_posix()
        for top in tops
        for path in (root / top).rglob("*")
        if path.is_file()
        and not any(
            part.startswith(".") or part == "__pycache__" for part in path.relative_to(root / top).parts
        )
    }


@pytest.mark.build
def test_the_wheel_holds_both_packages_and_the_specification_and_nothing_else(built: Built) -> None:
    expected = (
        files(ROOT / "reference", "gate_p2p")
        | files(ROOT / "conformance", "gate_conformance")
        | {f"gate_conformance/{name}" for name in files(ROOT, "spec")}
    )
    assert {
        "gate_p2p/py.typed",
        "gate_conformance/py.typed",
        "gate_conformance/spec/requirements.toml",
    } <= expected
    found = {name for name in files(built.unpacked, ".") if ".dist-info/" not in name}
    assert found == expected


@pytest.mark.build
def test_a_bare_installation_asks_for_msgspec_alone(built: Built) -> None:
    asked = [Requirement(text) for text in built.metadata().get_all("Requires-Dist", [])]
    bare = [wanted.name for wanted in asked if wanted.marker is None or wanted.marker.evaluate({"extra": ""})]
    assert bare == ["msgspec"]


@pytest.mark.build
def test_the_metadata_names_the_extras_the_licence_and_the_commands(built: Built) -> None:
    metadata = built.metadata()
    assert metadata["Name"] == "gate-p2p"
    assert metadata["License-Expression"] == "MIT OR Apache-2.0"
    extras = {"iroh", "inference", "dns", "conformance", "acme", "docs", "dev", "all"}
    assert set(metadata.get_all("Provides-Extra", [])) == extras
    (entry_points,) = built.unpacked.glob("*.dist-info/entry_points.txt")
    for command, module in MODULE_OF.items():
        assert f"{command} = {module}:main" in entry_points.read_text(encoding="utf-8")


@pytest.mark.build
def test_the_source_distribution_is_complete(built: Built) -> None:
    expected = files(ROOT, "reference", "conformance", "spec", "docs", "benchmarks", "scripts", ".ci") | {
        "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE-APACHE", "LICENSE-MIT", "Makefile", "README.md",
        "constraints.txt", "mkdocs.yml", "pyproject.toml", ".pre-commit-config.yaml", ".gitignore",
    }  # fmt: skip
    with tarfile.open(built.sdist) as archive:
        found = {name.partition("/")[2] for name in archive.getnames()}
    assert sorted(expected - found) == []


def run_installed(
    built: Built, directory: Path, path: list[Path], program: str
) -> subprocess.CompletedProcess[str]:
    """Run a program elsewhere: it finds the standard library, the unpacked wheel and what is in `path`."""
    setup = f"import sys; sys.path[:0] = {[str(built.unpacked), *map(str, path)]}; "
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", setup + program],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.build
def test_the_wheel_runs_the_core_with_msgspec_alone(built: Built, tmp_path: Path) -> None:
    (tmp_path / "msgspec").symlink_to(Path(msgspec.__file__).parent)
    program = "import gate_p2p.core as core; print(core.__file__); import iroh"
    done = run_installed(built, tmp_path, [tmp_path], program)
    assert done.stdout.startswith(str(built.unpacked))
    assert "No module named 'iroh'" in done.stderr


@pytest.mark.build
def test_the_wheel_runs_the_suite_from_any_directory(built: Built, tmp_path: Path) -> None:
    program = (
        "import gate_conformance.cli as cli, gate_conformance.spec as spec; print(spec.spec_root());"
        "sys.argv = ['gate-conformance', 'list']; sys.exit(cli.main())"
    )
    done = run_installed(built, tmp_path, [Path(sysconfig.get_path("purelib"))], program)
    assert done.returncode == 0, done.stderr
    root, *cases = done.stdout.splitlines()
    assert root == str(built.unpacked / "gate_conformance" / "spec")
    assert len(cases) >= 40
