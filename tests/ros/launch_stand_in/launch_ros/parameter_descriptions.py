"""Parameters with a type."""

from launch.substitutions import resolve


class ParameterValue:
    """A value whose text is read as `value_type`."""

    def __init__(self, value, *, value_type):
        self.value, self.value_type = value, value_type

    def perform(self, context):
        text = resolve(self.value, context)
        if self.value_type is bool:
            return {"true": True, "false": False}[text.lower()]
        return self.value_type(text)
