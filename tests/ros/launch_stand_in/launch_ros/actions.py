"""Starting nodes."""

from launch.substitutions import resolve


class Node:
    """A process with one node; performing it records how it would be started."""

    def __init__(
        self, *, package, executable, name, namespace, parameters, output, remappings=(), ros_arguments=(), on_exit=None
    ):
        assert output == "screen"
        self.package, self.executable, self.name, self.namespace = package, executable, name, namespace
        self.parameters, self.remappings = parameters, remappings
        self.ros_arguments, self.on_exit = ros_arguments, on_exit

    def execute(self, context):
        namespace = resolve(self.namespace, context)
        files = [resolve(row, context) for row in self.parameters if not isinstance(row, dict)]
        own = {k: v.perform(context) for row in self.parameters if isinstance(row, dict) for k, v in row.items()}
        context.nodes.append(
            {
                "executable": self.executable,
                "name": self.name,
                "namespace": namespace,
                "files": files,
                "parameters": own,
                "remappings": [(resolve(a, context), resolve(b, context)) for a, b in self.remappings],
                "ros_arguments": [resolve(part, context) for part in self.ros_arguments],
                "ends_all": self.on_exit is not None,
            }
        )
