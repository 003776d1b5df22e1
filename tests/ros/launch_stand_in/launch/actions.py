"""What a launch description does."""

import runpy

from launch.substitutions import resolve


class DeclareLaunchArgument:
    """A named, described argument; without a default it must be given."""

    def __init__(self, name, *, default_value=None, description=None, choices=None):
        self.name, self.default_value, self.description, self.choices = name, default_value, description, choices

    def execute(self, context):
        context.declared[self.name] = self
        if self.name not in context.configurations:
            if self.default_value is None:
                raise RuntimeError(f"launch argument {self.name!r} is missing")
            context.configurations[self.name] = resolve(self.default_value, context)
        value = context.configurations[self.name]
        if self.choices is not None and value not in self.choices:
            raise RuntimeError(f"launch argument {self.name!r}: {value!r} is not one of {self.choices}")


class SetEnvironmentVariable:
    """For every process that starts after it."""

    def __init__(self, name, value):
        self.name, self.value = name, value

    def execute(self, context):
        context.environment[self.name] = resolve(self.value, context)


class Shutdown:
    """End the whole launch."""

    def __init__(self, *, reason="reason not given"):
        self.reason = reason


class IncludeLaunchDescription:
    """Another launch file, with arguments."""

    def __init__(self, launch_description_source, *, launch_arguments=()):
        self.source, self.launch_arguments = launch_description_source, launch_arguments

    def execute(self, context):
        for name, value in self.launch_arguments:
            context.configurations[name] = resolve(value, context)
        included = runpy.run_path(resolve(self.source.location, context))["generate_launch_description"]()
        for entity in included.entities:
            entity.execute(context)
