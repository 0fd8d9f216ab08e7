"""Evaluates operators, assignments and collections; names and calls are the subclass's business (`evaluate`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fangduoduo_release.common.sentence import S

from . import nodes as n
from .errors import GroovyError, java_names
from .execute import StatementRunner
from .methods import convert, set_property
from .methods_collections import key_of
from .operators import apply, negate
from .patterns import compiled
from .values import MAX_TEXT, bounded_items, is_number, text_of, too_long, truth


class Computer(StatementRunner):
    """Operators on values, and what takes a value."""

    def holder(self, name: str) -> dict[str, Any] | None:
        """The variables that hold `name`: local ones, else the binding; None when nothing does."""
        holder = self.frame.holder(name) if self.frame is not None else None
        return self.binding if holder is None and name in self.binding else holder

    def write(self, target: Any, name: str, value: Any, position: n.Position | None = None) -> None:
        """`target.name = value`."""
        set_property(target, name, value)

    def interpolated(self, expression: n.GString) -> str:
        """The text of a string with its values."""
        parts: list[str] = []
        size = 0
        for part in expression.parts:
            parts.append(part if isinstance(part, str) else text_of(self.value(part)))
            size += len(parts[-1])
            if size > MAX_TEXT:
                raise too_long()
        text = "".join(parts)
        self.weigh(text)
        return text

    def binary_value(self, expression: n.Binary) -> Any:
        """`left operator right`."""
        # Long chains lean to the left: walked in a loop, so that their length costs no depth.
        chain = [expression]
        while isinstance(chain[-1].left, n.Binary):
            chain.append(chain[-1].left)
        value = self.value(chain[-1].left)
        for node in reversed(chain):
            value = self.weigh(self._apply(node, value))
        return value

    def _apply(self, node: n.Binary, left: Any) -> Any:
        operator = node.operator
        if operator == "&&":
            return truth(left) and truth(self.value(node.right))
        if operator == "||":
            return truth(left) or truth(self.value(node.right))
        if operator in ("as", "instanceof", "!instanceof"):
            assert isinstance(node.right, n.Variable)
            if operator == "as":
                return convert(node.right.name, left)
            return apply(operator, left, node.right.name)
        return apply(operator, left, self.value(node.right))

    def unary_value(self, expression: n.Unary) -> Any:
        """`!x`, `-x`, `~x`, `++x`."""
        if expression.operator in ("++", "--"):
            return self.step_by(expression.operand, expression.operator, after=False)
        value = self.value(expression.operand)
        if expression.operator == "!":
            return not truth(value)
        if expression.operator == "~":
            return compiled(text_of(value))
        return negate(value) if expression.operator == "-" else value

    def step_by(self, target: n.Expression, operator: str, *, after: bool) -> Any:
        """Counts a variable up or down; its value from before or after."""
        before = self.value(target)
        if not is_number(before):
            raise GroovyError(S("Only numbers can be counted up or down."), java_names("MissingMethodException"))
        now = apply("+", before, 1 if operator == "++" else -1)
        self.assign(target, now)
        return before if after else now

    def elvis_value(self, expression: n.Elvis) -> Any:
        """`value ?: otherwise`."""
        value = self.value(expression.value)
        return value if truth(value) else self.value(expression.otherwise)

    def assign_value(self, expression: n.Assign) -> Any:
        """`target = value`, `target += value`; the new value."""
        if expression.operator == "=":
            value = self.value(expression.value)
        elif expression.operator == "?=":
            known = self.value(expression.target)
            value = self.value(expression.value) if known is None else known
        else:
            before = self.value(expression.target)
            value = apply(expression.operator[:-1], before, self.value(expression.value))
        self.assign(expression.target, value)
        return value

    def assign(self, target: n.Expression, value: Any) -> None:
        """Gives a variable, property or item its value."""
        if isinstance(target, n.Variable):
            holder = self.holder(target.name)
            (self.binding if holder is None else holder)[target.name] = value
        elif isinstance(target, n.Property):
            name = target.name if isinstance(target.name, str) else text_of(self.value(target.name))
            self.write(self.value(target.target), name, value, target.position)
        elif isinstance(target, n.Index) and len(target.index) == 1:
            self.put(self.value(target.target), self.value(target.index[0]), value)
        elif isinstance(target, n.ListLiteral):
            items = list(value) if isinstance(value, list | tuple) else []
            for at, item in enumerate(target.items):
                self.assign(item, items[at] if at < len(items) else None)

    def put(self, target: Any, index: Any, value: Any) -> None:
        """`target[index] = value`."""
        if isinstance(target, list) and isinstance(index, int):
            bounded_items(index + 1)
            while len(target) <= index:
                target.append(None)
            target[index] = value
        else:
            set_property(target, key_of(index), value)

    def items(self, items: Sequence[n.Expression]) -> list[Any]:
        """The values of items or arguments, spread ones among them."""
        out: list[Any] = []
        for item in items:
            if isinstance(item, n.Spread):
                out.extend(self.value(item.value) or [])
            else:
                out.append(self.value(item))
        return out

    def map_value(self, expression: n.MapLiteral) -> dict[Any, Any]:
        """`[key: value]`."""
        out: dict[Any, Any] = {}
        for key, value in expression.entries:
            if isinstance(key, n.Spread):
                out.update(self.value(key.value) or {})
            else:
                out[key_of(self.value(key))] = self.value(value)
        return out

    def range_value(self, expression: n.Range) -> list[Any]:
        """`low..high` as a list."""
        low, high = self.value(expression.low), self.value(expression.high)
        if isinstance(low, str) and isinstance(high, str) and len(low) == len(high) == 1:
            return [chr(code) for code in self._counted(ord(low), ord(high), expression.inclusive)]
        if not isinstance(low, int) or not isinstance(high, int):
            raise GroovyError(S("A range needs two whole numbers."), java_names("java.lang.IllegalArgumentException"))
        return self._counted(low, high, expression.inclusive)

    def _counted(self, low: int, high: int, inclusive: bool) -> list[int]:
        bounded_items(abs(high - low) + 1)
        step = 1 if high >= low else -1
        return list(range(low, high + step if inclusive else high, step))
