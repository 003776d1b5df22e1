"""Values that are known when the launch file is performed."""


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
