"""Substitutions that know ROS packages."""


class FindPackageShare:
    """The share folder of a package; the checkout is laid out like it."""

    def __init__(self, package):
        self.package = package

    def perform(self, context):
        assert self.package == "magma_ros"
        return str(context.share)
