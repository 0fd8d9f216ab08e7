"""What can go wrong while Groovy runs: errors a script may catch, and what cannot run here at all."""

from __future__ import annotations

from fangduoduo_release.common.sentence import S, Sentence

from .nodes import Position


class NotRunnable(Exception):
    """What is written is Groovy that cannot run here; never caught by the script's own try/catch."""

    def __init__(self, sentence: Sentence, position: Position | None = None) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence
        self.position = position


class GroovyError(Exception):
    """An exception that a script may catch. Steps that fail raise it, or a subclass, with the Java names they go by."""

    type_names: tuple[str, ...] = ("Exception", "Throwable")

    def __init__(self, sentence: Sentence, type_names: tuple[str, ...] | None = None) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence
        if type_names is not None:
            self.type_names = type_names


def java_names(name: str) -> tuple[str, ...]:
    """The names a Java exception answers to in a catch, guessed from its own."""
    simple = name.rpartition(".")[2]
    names = dict.fromkeys((simple, name))
    if simple.endswith("Error"):
        return (*names, "Error", "Throwable")
    if simple not in ("Exception", "Throwable", "IOException", "AbortException", "FlowInterruptedException"):
        names["RuntimeException"] = None
    if simple == "AbortException":
        names["IOException"] = None
    return (*names, "Throwable") if simple == "Throwable" else (*names, "Exception", "Throwable")


def missing_property(name: str) -> GroovyError:
    return GroovyError(S("No such property: %(name)s", name=name), java_names("groovy.lang.MissingPropertyException"))


def null_access(name: str) -> GroovyError:
    return GroovyError(
        S("Cannot get “%(name)s” on null object", name=name), java_names("java.lang.NullPointerException")
    )


def wrong_value(sentence: Sentence, name: str = "java.lang.IllegalArgumentException") -> GroovyError:
    return GroovyError(sentence, java_names(name))
