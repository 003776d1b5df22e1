from lock import to_pin
from packaging.requirements import Requirement


class Installed:
    """An installed package that asks for others."""

    def __init__(self, *requires: str) -> None:
        self.requires = requires


PACKAGES = {"client": Installed("old<2", 'never; extra == "x"'), "old": Installed("base"), "base": Installed()}


def test_what_a_package_needs_is_pinned_with_it() -> None:
    """Everything below it, except what an extra that nobody asked for would add."""
    assert {"client", "old", "base"} == to_pin([Requirement("Client")], PACKAGES, with_dependencies=True)


def test_a_package_without_dependencies_is_pinned_alone() -> None:
    """Its own demands, which cannot be met, are left alone."""
    assert {"client"} == to_pin([Requirement("Client")], PACKAGES, with_dependencies=False)
