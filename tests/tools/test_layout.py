import os
import subprocess
import sys
from pathlib import Path

import pytest
from layout import link_checkout


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A checkout in small: two modules, one room, one script and an environment with nothing in it."""
    files = {
        "magma_ros/__init__.py": '__path__ = __import__("pkgutil").extend_path(__path__, __name__)\n',
        "magma_ros/types.py": "WHERE = 'checkout'\n",
        "sim/__init__.py": "",
        "config/robot.yaml": "a: 1\n",
        "scripts/policy_node": "#!/usr/bin/env python3\nimport magma_ros.types\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    messages = tmp_path / ".venv" / "lib" / "python3.11" / "site-packages" / "magma_ros" / "msg"
    messages.mkdir(parents=True)
    (messages / "__init__.py").write_text("WHERE = 'generated'\n")
    return tmp_path


def imported(checkout: Path, statement: str) -> str:
    """What a statement prints in a process that sees the environment's site-packages and its .pth file."""
    site_packages = checkout / ".venv" / "lib" / "python3.11" / "site-packages"
    code = f"import site; site.addsitedir({str(site_packages)!r}); {statement}"
    command = [sys.executable, "-I", "-S", "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=checkout.anchor).stdout.strip()


def test_source_and_generated_messages_are_one_package(checkout) -> None:
    """From any folder, modules come from the checkout and messages from the environment."""
    link_checkout(checkout, checkout / ".venv")
    statement = (
        "import magma_ros.types, magma_ros.msg, magma_ros.sim; print(magma_ros.types.WHERE, magma_ros.msg.WHERE)"
    )
    assert "checkout generated" == imported(checkout, statement)


def test_edits_are_live(checkout) -> None:
    """An edited module is what the next process imports, without another set-up."""
    link_checkout(checkout, checkout / ".venv")
    (checkout / "magma_ros" / "types.py").write_text("WHERE = 'edited'\n")
    assert "edited" == imported(checkout, "import magma_ros.types; print(magma_ros.types.WHERE)")


def test_new_modules_appear_and_deleted_ones_go(checkout) -> None:
    """After the next set-up the links are exactly the modules of the checkout."""
    link_checkout(checkout, checkout / ".venv")
    (checkout / "magma_ros" / "safety.py").write_text("")
    (checkout / "magma_ros" / "types.py").unlink()
    link_checkout(checkout, checkout / ".venv")
    present = {path.name for path in (checkout / "build" / "python" / "magma_ros").iterdir()}
    assert {"__init__.py", "safety.py", "sim"} == present


def test_what_python_compiled_outlasts_a_set_up(checkout) -> None:
    """Each `make` refreshes the links; the modules need not be compiled again for it."""
    link_checkout(checkout, checkout / ".venv")
    compiled = checkout / "build" / "python" / "magma_ros" / "__pycache__" / "types.cpython-311.pyc"
    compiled.parent.mkdir()
    compiled.touch()
    link_checkout(checkout, checkout / ".venv")
    assert compiled.exists()


def test_executables_start_with_the_environments_python(checkout) -> None:
    """A script in lib/magma_ros runs with the environment's interpreter, whatever PATH says."""
    link_checkout(checkout, checkout / ".venv")
    script = checkout / ".venv" / "lib" / "magma_ros" / "policy_node"
    assert f"#!{checkout}/.venv/bin/python" == script.read_text().splitlines()[0]
    assert os.access(script, os.X_OK)
    assert "a: 1\n" == (checkout / ".venv" / "share" / "magma_ros" / "config" / "robot.yaml").read_text()


def test_every_script_becomes_an_executable_and_deleted_ones_go(checkout) -> None:
    """`ros2 run` finds a node as soon as there is a script for it, and no longer than that."""
    for name in ("teleop_node", "view_node"):
        (checkout / "scripts" / name).write_text("#!/usr/bin/env python3\n")
    link_checkout(checkout, checkout / ".venv")
    (checkout / "scripts" / "view_node").unlink()
    link_checkout(checkout, checkout / ".venv")
    present = {path.name for path in (checkout / ".venv" / "lib" / "magma_ros").iterdir()}
    assert {"policy_node", "teleop_node"} == present
