"""Values that are known when the launch file is performed."""

import os


def resolve(value, context):
    """The text of a string, a substitution or a list of them."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return "".join(resolve(part, context) for part in value)
    return value.perform(context)


class LaunchConfiguration:
    """The value of a launch argument."""

    def __init__(self, variable_name):
        self.variable_name = variable_name

    def perform(self, context):
        return context.configurations[self.variable_name]


class PathJoinSubstitution:
    """A path from its parts."""

    def __init__(self, substitutions):
        self.substitutions = substitutions

    def perform(self, context):
        return "/".join(resolve(part, context) for part in self.substitutions)


class EnvironmentVariable:
    """What a variable is set to before the launch, or the default."""

    def __init__(self, name, *, default_value=None):
        self.name, self.default_value = name, default_value

    def perform(self, context):
        value = os.environ.get(self.name)
        return resolve(self.default_value, context) if value is None else value


class EqualsSubstitution:
    """`true` or `false`."""

    def __init__(self, left, right):
        self.left, self.right = left, right

    def perform(self, context):
        return str(resolve(self.left, context) == resolve(self.right, context)).lower()


class NotEqualsSubstitution:
    """`true` or `false`."""

    def __init__(self, left, right):
        self.left, self.right = left, right

    def perform(self, context):
        return str(resolve(self.left, context) != resolve(self.right, context)).lower()


class IfElseSubstitution:
    """One of two values."""

    def __init__(self, condition, if_value="", else_value=""):
        self.condition, self.if_value, self.else_value = condition, if_value, else_value

    def perform(self, context):
        is_true = {"true": True, "false": False}[resolve(self.condition, context).lower()]
        return resolve(self.if_value if is_true else self.else_value, context)
