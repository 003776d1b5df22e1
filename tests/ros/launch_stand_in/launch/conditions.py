"""What an entity depends on."""

from launch.substitutions import resolve


class IfCondition:
    """True where the text is."""

    def __init__(self, predicate_expression):
        self.predicate_expression = predicate_expression

    def evaluate(self, context):
        return {"true": True, "false": False}[resolve(self.predicate_expression, context).lower()]
