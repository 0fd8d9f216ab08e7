"""Parses Groovy expressions: operators by binding power, calls, closures, literals.

Command expressions (`sh 'x'`, `retry count: 3`) are read where Groovy allows them: in statements and on the right of
an assignment. Statements within closures are the subclass's business (`statements`).
"""

from __future__ import annotations

from decimal import Decimal

from fangduoduo_release.common.sentence import S

from . import nodes as n
from .cursor import MAX_CHAIN
from .literals import LiteralParser
from .tokens import END, KEYWORD, NAME, NUMBER, OPERATOR, PRIMITIVES, STRING, SyntaxProblem, Token

ASSIGNMENTS = frozenset({"=", "+=", "-=", "*=", "/=", "%=", "**=", "<<=", ">>=", ">>>=", "&=", "|=", "^=", "?="})
POWERS = {
    "||": 3, "&&": 4, "|": 5, "^": 6, "&": 7, "=~": 8, "==~": 8, "==": 9, "!=": 9, "<=>": 9, "===": 9, "!==": 9,
    "<": 10, "<=": 10, ">": 10, ">=": 10, "instanceof": 10, "in": 10, "as": 10, "<<": 11, ">>": 11, ">>>": 11,
    "..": 11, "..<": 11, "+": 12, "-": 12, "*": 13, "/": 13, "%": 13, "**": 15,
}  # fmt: skip
# Operators that may begin the next line of the same expression.
_CONTINUES = frozenset({"?", "?:", "&&", "||"})
_DOTS = frozenset({".", "?.", "*.", ".&", ".@", "::"})
_CONSTANTS = {"true": True, "false": False, "null": None}
_PREFIX = frozenset({"-", "+", "!", "~", "++", "--"})
_ARGUMENT_WORDS = frozenset({"true", "false", "null", "this", "super", "new"})


class ExpressionParser(LiteralParser):
    """Reads expressions from tokens; raises SyntaxProblem."""

    def expression(self, *, command: bool = False) -> n.Expression:
        """One expression; with `command` also `name argument, argument`."""
        self.deeper()
        found = self._binary(1, command)
        self.depth -= 1
        return found

    def _binary(self, minimum: int, command: bool) -> n.Expression:
        left = self._operand(command)
        for _ in range(MAX_CHAIN):
            token = self.token
            operator = token.text
            if token.line_break and operator not in _CONTINUES:
                return left
            if operator in ASSIGNMENTS and minimum <= 1:
                self._check_target(left)
                self.take()
                return n.Assign(token.position, left, operator, self.expression(command=command))
            if operator in ("?", "?:") and minimum <= 2:
                left = self._conditional(left)
                continue
            negated = operator == "!" and self.ahead().text in ("in", "instanceof") and not self.ahead().space
            power = 10 if negated else POWERS.get(operator, 0)
            if not power or power < minimum:
                return left
            self.take()
            if negated:
                operator = "!" + self.take().text
            right = self._type() if operator in ("as", "instanceof", "!instanceof") else self._right(power)
            if operator in ("..", "..<"):
                left = n.Range(token.position, left, right, operator == "..")
            else:
                left = n.Binary(token.position, operator, left, right)
        raise self.too_deep()

    def _right(self, power: int) -> n.Expression:
        self.deeper()
        right = self._binary(power + 1, False)
        self.depth -= 1
        return right

    def _conditional(self, condition: n.Expression) -> n.Expression:
        token = self.take()
        self.deeper()
        if token.text == "?:":
            found: n.Expression = n.Elvis(token.position, condition, self._binary(2, False))
        else:
            then = self._binary(2, False)
            self.expect(":")
            found = n.Ternary(token.position, condition, then, self._binary(2, False))
        self.depth -= 1
        return found

    def _check_target(self, target: n.Expression) -> None:
        if isinstance(target, n.Variable | n.Property | n.Index):
            return
        if isinstance(target, n.ListLiteral) and all(isinstance(item, n.Variable) for item in target.items):
            return
        raise SyntaxProblem(
            S(
                "Nothing can be assigned to this: the left side of “%(operator)s” must be a name.",
                operator=self.token.text,
            ),
            target.position,
        )

    def _type(self) -> n.Expression:
        token = self.token
        end = self.type_end(self.index)
        if end is None:
            if token.kind != NAME:
                raise self.unexpected()
            end = self.index + 1
        return n.Variable(token.position, self.type_text(end))

    # --- operands ---------------------------------------------------------------------------------------------

    def _operand(self, command: bool) -> n.Expression:
        token = self.token
        if token.text in _PREFIX:
            self.take()
            self.deeper()
            operand = self._operand(False)
            self.depth -= 1
            if token.text == "-" and isinstance(operand, n.Literal) and type(operand.value) in (int, Decimal):
                return n.Literal(token.position, -operand.value)  # type: ignore[operator]
            return n.Unary(token.position, token.text, operand)
        if token.text == "(" and (end := self._cast_end()) is not None:
            self.take()
            type_name = self.type_text(end - 1)
            self.expect(")")
            self.deeper()
            value = self._operand(False)
            self.depth -= 1
            return n.Cast(token.position, type_name, value)
        operand = self._postfix(self._primary(), command)
        if command and isinstance(operand, n.Variable | n.Property) and self._starts_argument():
            return self._commands(operand)
        return operand

    def _cast_end(self) -> int | None:
        end = self.type_end(self.index + 1)
        if end is None or self.tokens[end].text != ")":
            return None
        after = self.tokens[end + 1]
        if after.line_break:
            return None
        primitive = self.tokens[self.index + 1].kind == KEYWORD
        fits = (
            after.kind in (NAME, NUMBER, STRING)
            or after.text in ("(", "[", "!", "~")
            or after.text in _ARGUMENT_WORDS
            or (primitive and after.text in ("-", "+"))
        )
        return end + 1 if fits else None

    def _primary(self) -> n.Expression:
        token = self.take()
        if token.kind == STRING:
            return self.string(token)
        if token.kind == NUMBER:
            return n.Literal(token.position, token.value)  # type: ignore[arg-type]
        if token.kind == NAME:
            return n.Variable(token.position, token.text)
        if token.kind == KEYWORD:
            if token.text in _CONSTANTS:
                return n.Literal(token.position, _CONSTANTS[token.text])
            if token.text in ("this", "super") or token.text in PRIMITIVES:
                return n.Variable(token.position, token.text)
            if token.text == "new":
                return self.new(token)
        elif token.kind == OPERATOR:
            if token.text == "(":
                inner = self.expression(command=True)
                self.expect(")")
                return inner
            if token.text == "[":
                return self.list_or_map(token)
            if token.text == "{":
                return self.closure(token)
        if token.kind != END:
            self.index -= 1
        raise self.unexpected()

    def _postfix(self, operand: n.Expression, command: bool) -> n.Expression:
        for _ in range(MAX_CHAIN):
            token = self.token
            text = token.text
            if text in _DOTS:
                operand = self._member(operand)
            elif text == "{" and self._takes_block(operand, token, command):
                closure = self.closure(self.take())
                if isinstance(operand, n.Call):
                    operand = _with_argument(operand, closure)
                else:
                    operand = _call(operand, (closure,), ())
            elif token.line_break:
                return operand
            elif text == "(" and not (isinstance(operand, n.Literal | n.GString) and token.space):
                self.take()
                args, named = self.arguments(")")
                self.expect(")")
                operand = _call(operand, args, named)
            elif text == "[":
                if command and token.space and isinstance(operand, n.Variable) and self._list_is_argument():
                    return operand
                self.take()
                index, _named = self.arguments("]")
                self.expect("]")
                operand = n.Index(token.position, operand, index)
            elif text in ("++", "--"):
                self.take()
                operand = n.Postfix(token.position, text, operand)
            else:
                return operand
        raise self.too_deep()

    def _takes_block(self, operand: n.Expression, token: Token, command: bool) -> bool:
        if not isinstance(operand, n.Variable | n.Call | n.Property | n.Literal | n.GString):
            return False
        # A brace on its own line belongs to the call above only where a statement stands.
        return not token.line_break or (command and not isinstance(operand, n.Literal | n.GString))

    def _member(self, operand: n.Expression) -> n.Expression:
        dot = self.take()
        token = self.take()
        if dot.text in (".&", "::") and token.kind in (NAME, KEYWORD):
            return n.MethodPointer(dot.position, operand, token.text)
        name: str | n.Expression
        if token.kind in (NAME, KEYWORD):
            name = token.text
        elif token.kind == STRING:
            string = self.string(token)
            name = string.value if isinstance(string, n.Literal) and isinstance(string.value, str) else string
        else:
            if token.kind != END:
                self.index -= 1
            raise self.unexpected()
        return n.Property(token.position, operand, name, dot.text == "?.", dot.text == "*.")

    # --- command arguments ----------------------------------------------------------------------------------------

    def _starts_argument(self) -> bool:
        token = self.token
        if token.line_break or not token.space:
            return False
        if token.kind in (STRING, NUMBER, NAME):
            return True
        if token.kind == KEYWORD:
            return token.text in _ARGUMENT_WORDS or self.ahead().text == ":"
        if token.text == "[":
            return self._list_is_argument()
        return token.text == "!" and not self.ahead().space and self.ahead().text not in ("in", "instanceof")

    def _list_is_argument(self) -> bool:
        after = self.tokens[self.closing(self.index) + 1]
        return after.kind == END or after.line_break or after.text in (";", "}", ",", ")")

    def _commands(self, operand: n.Expression) -> n.Expression:
        for _ in range(MAX_CHAIN):
            self.deeper()
            args, named = self.arguments(None)
            self.depth -= 1
            call = _call(operand, args, named)
            token = self.token
            if token.kind != NAME or token.line_break:
                return call
            # `a b c d` means a(b).c(d)
            self.take()
            operand = n.Property(token.position, call, token.text)
            if not self._starts_argument():
                return self._postfix(operand, False)
        raise self.too_deep()


def _call(operand: n.Expression, args: tuple[n.Expression, ...], named: tuple[n.NamedArgument, ...]) -> n.Call:
    if isinstance(operand, n.Variable) and operand.name not in ("this", "super"):
        return n.Call(operand.position, None, operand.name, args, named)
    if isinstance(operand, n.Property):
        return n.Call(operand.position, operand.target, operand.name, args, named, operand.safe, operand.spread)
    return n.Call(operand.position, operand, "call", args, named)


def _with_argument(call: n.Call, closure: n.Expression) -> n.Call:
    return n.Call(call.position, call.target, call.name, (*call.args, closure), call.named, call.safe, call.spread)
