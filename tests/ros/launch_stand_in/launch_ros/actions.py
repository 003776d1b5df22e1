"""Starting nodes."""

from launch.substitutions import resolve


class Node:
    """A process with one node; performing it records how it would be started."""

    def __init__(
        self,
        *,
        package,
        executable,
        name,
        namespace,
        parameters,
        output,
        arguments=(),
        ros_arguments=(),
        on_exit=None,
        condition=None,
        additional_env=None,
        prefix="",
    ):
        assert output == "screen"
        self.package, self.executable, self.name, self.namespace = package, executable, name, namespace
        self.parameters, self.arguments, self.condition = parameters, arguments, condition
        self.ros_arguments, self.on_exit, self.additional_env = ros_arguments, on_exit, additional_env or {}
        self.prefix = prefix

    def execute(self, context):
        if self.condition is not None and not self.condition.evaluate(context):
            return
        namespace = resolve(self.namespace, context)
        files = [resolve(row, context) for row in self.parameters if not isinstance(row, dict)]
        own = {
            k: v.perform(context) if hasattr(v, "perform") else v
            for row in self.parameters
            if isinstance(row, dict)
            for k, v in row.items()
        }
        context.nodes.append(
            {
                "package": self.package,
                "executable": self.executable,
                "name": self.name,
                "namespace": namespace,
                "prefix": resolve(self.prefix, context),
                "files": files,
                "parameters": own,
                "arguments": [resolve(part, context) for part in self.arguments],
                "ros_arguments": [resolve(part, context) for part in self.ros_arguments],
                "environment": {k: resolve(v, context) for k, v in self.additional_env.items()},
                "ends_all": self.on_exit is not None,
            }
        )
