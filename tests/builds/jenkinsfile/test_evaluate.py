"""What scripts mean: values, names, methods, control flow, steps."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from builds.jenkinsfile import parse
from builds.jenkinsfile.groovy.evaluate import GroovyError, NotRunnable
from builds.jenkinsfile.groovy.statements import parse_groovy

from .cases import wrapped
from .rig import World, run

VALUES: list[tuple[str, Any]] = [
    # literals and strings
    ("1 + 2 * 3", 7), ("(1 + 2) * 3", 9), ("7 / 2", Decimal("3.5")), ("6 / 3", 2), ("-7 % 3", -1), ("2 ** 10", 1024),
    ("0x1F + 0b11 + 017", 49), ("1_000", 1000), ("1.5 + 1", Decimal("2.5")), ("10 - 3 - 2", 5), ("(-3).abs()", 3),
    ("'a' + 1", "a1"), ("'a' + null", "anull"), ("'ab' * 3", "ababab"), ("'abcabc' - 'b'", "acabc"),
    ('"${FOO}-${1 + 1}-$params.P"', "foo-2-p"), ("'$FOO ${1}'", "$FOO ${1}"), ('"\\$FOO"', "$FOO"),
    ('"""a\n${FOO}"""', "a\nfoo"), ("/a\\/b${FOO}/", "a/bfoo"), ("$/a$$b/$", "a$b"), ("'''x\ny'''", "x\ny"),
    ("'\\u00e9\\n\\t'", "é\n\t"), ("'a\\\nb'", "ab"), ('"${[1, \'a\']} ${[k: 1]}"', "[1, a] [k:1]"), ('"${true} ${null}"', "true null"),
    # names
    ("FOO", "foo"), ("env.FOO", "foo"), ("env['FOO']", "foo"), ("env.NOPE", None), ("P", "p"), ("params.P", "p"), ("params.FLAG", True),
    ("params['P']", "p"), ("params.get('P')", "p"), ("env.X = 5; env.X", "5"), ("env['Y'] = 'y'; Y", "y"), ("x = 5; x", 5),
    ("def x = 1; { -> x = 2 }(); x", 2), ("def x = 1; if (true) { x = 2 }; x", 2), ("def x; x", None),
    ("currentBuild.currentResult", "SUCCESS"), ("currentBuild.result = 'UNSTABLE'; currentBuild.result", "UNSTABLE"),
    ("currentBuild.displayName = \"#${currentBuild.number}\"; currentBuild.getDisplayName()", "#7"),
    ("currentBuild.resultIsBetterOrEqualTo('UNSTABLE')", True), ("currentBuild.resultIsWorseOrEqualTo('UNSTABLE')", False),
    ("def (a, b) = 'x:y'.split(':'); a + b", "xy"), ("def (a, b) = [1]; b", None), ("def a, b = 2; b", 2),
    ("def a = 1; def b = 2; (a, b) = [b, a]; [a, b]", [2, 1]),
    # conditions
    ("true ? 1 : 2", 1), ("null ?: 'd'", "d"), ("'' ?: 'd'", "d"), ("'a' ?: 'd'", "a"), ("def q = null; q?.foo?.bar", None),
    ("1 == 1", True), ("1 == 1.0", True), ("'1' == 1", False), ("null == false", False), ("'a' != 'b'", True), ("2 <=> 1", 1),
    ("'a' < 'b' && !(1 > 2)", True), ("[] || [1]", True), ("0 && true", False), ("1 in [1, 2]", True), ("'x' !in ['y']", True),
    ("'k' in [k: 1]", True), ("[1, 2] == [1, 2]", True), ("'a' instanceof String", True), ("5 instanceof Integer", True),
    ("'a' instanceof Map", False), ("'5' as int", 5), ("(String) 5", "5"), ("5 as String", "5"), ("null as String", None),
    ("true && null", False), ("!''", True), ("'v1.2' ==~ /v\\d\\.\\d/", True), ("'v1.2x' ==~ /v\\d\\.\\d/", False),
    ("('a1b22' =~ /\\d+/).size()", 2), ("def m = 'v1.2' =~ /v(\\d)\\.(\\d)/; m ? m[0][2] : 'no'", "2"), ("'x' =~ /y/ ? 1 : 2", 2),
    ("def m = 'ab' =~ /(?<l>a)/; m.find(); m.group('l')", "a"), ("def m = 'ab' =~ /b/; m[0]", "b"),
    # texts
    ("' a '.trim()", "a"), ("'a,b,,'.split(',')", ["a", "b"]), ("'a b'.split()", ["a", "b"]), ("'a.b'.tokenize('.')", ["a", "b"]),
    ("'abc'.contains('b')", True), ("'abc'.startsWith('ab')", True), ("'abc'.endsWith('x')", False), ("'a-b'.replace('-', '_')", "a_b"),
    ("'a1b2'.replaceAll(/\\d/, '#')", "a#b#"), ("'ab'.replaceAll(/(a)(b)/, '$2$1')", "ba"), ("'a1'.replaceAll(/\\d/) { it + '!' }", "a1!"),
    ("'aa'.replaceFirst('a', 'b')", "ba"), ("'abc'.toUpperCase()", "ABC"), ("'ABC'.toLowerCase()", "abc"), ("'abc'.capitalize()", "Abc"),
    ("'abc'.size()", 3), ("'abc'.length()", 3), ("'abc'[0]", "a"), ("'abc'[-1]", "c"), ("'abcd'[1..2]", "bc"), ("'abc'[0..-2]", "ab"),
    ("'abcd'[1..<3]", "bc"), ("'abc'.substring(1)", "bc"), ("'abc'.substring(0, 2)", "ab"), ("'abc'.take(2)", "ab"), ("'abc'.drop(1)", "bc"),
    ("'abc'.reverse()", "cba"), ("'abc'.indexOf('c')", 2), ("'5'.toInteger() + 1", 6), ("'5'.isInteger()", True), ("'x'.isNumber()", False),
    ("'1.5'.toBigDecimal()", Decimal("1.5")), ("'true'.toBoolean()", True), ("''.isEmpty()", True), ("'a\\nb'.readLines()", ["a", "b"]),
    ("'7'.padLeft(3, '0')", "007"), ("'abc'.matches('[a-c]+')", True), ("'x'.equals('x')", True), ("'a-b'.find(/\\w/)", "a"),
    ("'a1b2'.findAll(/\\d/)", ["1", "2"]), ("'A'.equalsIgnoreCase('a')", True), ("5.toString()", "5"), ("'  a\\n  b'.stripIndent()", "a\nb"),
    ("String.format('%s-%03d-%.2f', 'a', 7, 1.5)", "a-007-1.50"), ("Math.max(1, 2)", 2), ("Integer.parseInt('12')", 12), ("'ab'.count('a')", 1),
    # lists
    ("[1, 2, 3].size()", 3), ("[1, 2].join('-')", "1-2"), ("[1, 2].collect { it * 2 }", [2, 4]), ("[1, 2].find { it > 1 }", 2),
    ("[1, 2].findAll { it > 1 }", [2]), ("[1, 2].any { it > 1 }", True), ("[1, 2].every { it > 1 }", False), ("[3, 1, 2].sort()", [1, 2, 3]),
    ("['bb', 'a'].sort { it.size() }", ["a", "bb"]), ("[1, 2].sort { a, b -> b <=> a }", [2, 1]), ("[1, 2].sum()", 3), ("[1, 3, 2].max()", 3),
    ("['a', 'bb'].max { it.size() }", "bb"), ("[1, 1, 2].unique()", [1, 2]), ("[1, [2, [3]]].flatten()", [1, 2, 3]), ("[1, 2].reverse()", [2, 1]),
    ("[1, 2].contains(2)", True), ("[1, 2].first() + [1, 2].last()", 3), ("[1, 2, 3][1..-1]", [2, 3]), ("[1][5]", None), ("[].isEmpty()", True),
    ("def l = [1]; l << 2; l += 3; l.add(4); l", [1, 2, 3, 4]), ("[1, 2, 3] - 2", [1, 3]), ("[1, 2].inject(10) { a, b -> a + b }", 13),
    ("[1, 2, 3].groupBy { it % 2 }", {1: [1, 3], 0: [2]}), ("['a', 'b'].withIndex()", [["a", 0], ["b", 1]]), ("[*[1, 2], 3]", [1, 2, 3]),
    ("['a', 'b']*.toUpperCase()", ["A", "B"]), ("[[n: 1], [n: 2]].n", [1, 2]), ("['a', 'b'].collectEntries { [it, 1] }", {"a": 1, "b": 1}),
    ("['a', 'b'].collectEntries { [(it): it * 2] }", {"a": "aa", "b": "bb"}), ("(1..3).collect { it }", [1, 2, 3]), ("(3..1)", [3, 2, 1]),
    ("('a'..'c').join('')", "abc"), ("[1, 2, 3].count { it > 1 }", 2), ("[1, 2].indexOf(2)", 1), ("def l = []; 3.times { l << it }; l", [0, 1, 2]),
    ("def l = []; ['a', 'b'].eachWithIndex { x, i -> l << \"$i$x\" }; l", ["0a", "1b"]), ("[1, null].findAll()", [1]), ("[2, 1].min()", 1),
    ("def l = [1, 2]; l[3] = 9; l", [1, 2, None, 9]), ("[a: 1].collect { k, v -> \"$k$v\" }", ["a1"]), ("[[1, 2], [3, 4]].collect { a, b -> a + b }", [3, 7]),
    # maps
    ("[a: 1, 'b': 2].size()", 2), ("[a: 1].a", 1), ("[a: 1]['a']", 1), ("[a: [b: 2]].a.b", 2), ("[a: 1].containsKey('b')", False),
    ("def m = [:]; m.x = 1; m['y'] = 2; m.put('z', 3); m", {"x": 1, "y": 2, "z": 3}), ("[a: 1].keySet()", ["a"]), ("[a: 1].values()", [1]),
    ("[a: 1, b: 2].findAll { k, v -> v > 1 }", {"b": 2}), ("[a: 1].any { it.value == 1 }", True), ("[a: 1] + [b: 2]", {"a": 1, "b": 2}),
    ("[a: 1].get('b', 5)", 5), ("def k = 'x'; [(k): 1]", {"x": 1}), ("[a: 1].each { it.value }", {"a": 1}), ("[a: 1].collect { it.key }", ["a"]),
    ("[a: { it + 1 }].a(1)", 2), ("[b: 1, a: 2].sort()*.key", ["a", "b"]), ("[*: [a: 1], b: 2]", {"a": 1, "b": 2}), ("[a: 1].getOrDefault('z', 0)", 0),
    # closures and methods
    ("def c = { a, b = 2 -> a + b }; c(1)", 3), ("def c = { it ?: 'none' }; c()", "none"), ("def c = { -> 5 }; c.call()", 5),
    ("def f(a, b = 1) { return a + b }\nf(1) + f(1, 2)", 5), ("def f(n) { n < 2 ? 1 : n * f(n - 1) }\nf(10)", 3628800),
    ("def f(Map m, x) { m.a + x }\nf(a: 1, 2)", 3), ("int f(int... xs) { xs.size() }\nf(1, 2, 3)", 3), ("def f() { return }\nf()", None),
    ("def c = { return 1; 2 }; c()", 1), ("def add = { a -> { b -> a + b } }; add(1)(2)", 3), ("def l = []; def p = l.&add; p(1); l", [1]),
    # control flow
    ("if (false) { 1 } else if (true) { 2 } else { 3 }", 2), ("def s = 0; for (i in 1..4) { if (i == 2) continue; if (i == 4) break; s += i }; s", 4),
    ("def s = 0; for (int i = 0; i < 3; i++) { s += i }; s", 3), ("def i = 0; while (i < 5) { i++ }; i", 5), ("def i = 9; do { i-- } while (i > 5); i", 5),
    ("def s = ''; for (e in [a: 1, b: 2]) { s += e.key + e.value }; s", "a1b2"), ("def s = ''; for (c in 'ab') s += c + '.'; s", "a.b."),
    ("for (x in [1, 2]) { if (x == 2) return 'r' }; 'no'", "r"), ("for (x in null) { }; 1", 1), ("int i = 1; i++ + ++i", 4), ("def x = null; x ?= 3; x", 3),
    ("def r = ''; switch ('b') { case 'a': r += 'a'; case 'b': r += 'b'; case 'c': r += 'c'; break; default: r += 'd' }; r", "bc"),
    ("def r = 0; switch (5) { case 1..3: r = 1; break; case [4, 5]: r = 2; break }; r", 2), ("def r; switch ('v1') { case ~/v\\d/: r = 1; break; default: r = 2 }; r", 1),
    ("def r; switch (9) { default: r = 'd' }; r", "d"),
    ("try { throw new IllegalStateException('bad') } catch (IllegalStateException e) { e.message }", "bad"),
    ("try { throw new RuntimeException('x') } catch (IOException e) { 1 } catch (Exception e) { 2 }", 2), ("try { null.foo } catch (NullPointerException e) { 'npe' }", "npe"),
    ("try { NOPE_1 } catch (MissingPropertyException e) { e.message }", "No such property: NOPE_1"), ("try { 1 / 0 } catch (ArithmeticException e) { e.getMessage() }", "Division by zero"),
    ("try { 'x'.toInteger() } catch (NumberFormatException | IOException e) { 'no' }", "no"), ("try { error 'x' } catch (e) { \"$e\" }", "AbortException: x"),
    ("try { try { error 'x' } finally { env.F = 'ran' } } catch (e) { env.F }", "ran"), ("def f() { try { return 1 } finally { env.G = 'g' } }\nf() + env.G", "1g"),
    ("try { assert 1 == 2 : 'differs' } catch (AssertionError e) { e.message }", "differs"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), VALUES, ids=[text[:60] for text, _ in VALUES])
def test_a_text_has_the_value_groovy_gives_it(text: str, value: Any) -> None:
    found = run(text)
    assert found == value
    assert isinstance(found, bool) == isinstance(value, bool)


def test_steps_get_their_arguments_and_give_their_values() -> None:
    world = World(outputs={"git describe": " v1 \n"})
    text = """
        def tag = sh(returnStdout: true, script: 'git describe').trim()
        if (sh(script: 'make', returnStatus: true) == 0) { echo "made $tag" }
        withEnv(["TAG=${tag}"]) { sh 'push' }
        println 'printed'
        archiveArtifacts artifacts: 'x', fingerprint: true
    """
    world.run(text)
    assert world.called() == [
        "sh returnStdout:True script:git describe",
        "sh script:make returnStatus:True",
        "echo made v1",
        "withEnv ['TAG=v1']",
        "sh push",
        "echo printed",
        "archiveArtifacts artifacts:x fingerprint:True",
    ]
    assert world.steps[2][3].line == 3


def test_a_block_gives_its_value_and_sees_the_variables_around_it() -> None:
    world = World()
    assert world.run("def x = 1; def y = dir('d') { x += 1; x * 10 }; [x, y]") == [2, 20]


def test_an_error_of_a_step_is_thrown_on_as_it_came() -> None:
    world = World()
    with pytest.raises(GroovyError) as caught:
        world.run("try { error 'first' } catch (e) { echo 'seen'; throw e }")
    assert str(caught.value) == "first"
    assert caught.value.type_names[0] == "AbortException"
    assert world.called() == ["error first", "echo seen"]


def test_what_stands_around_the_pipeline_serves_all_stages() -> None:
    world = World()
    world.interpreter.define(parse_groovy("def version = '1.2'\nString label(x) { \"$version-$x\" }\ncount = 0"))
    assert world.run("count += 1; label('a')") == "1.2-a"
    assert world.run("version = '2'; label(count)") == "2-1"


def test_a_declarative_step_may_be_a_method_of_the_jenkinsfile() -> None:
    world = World()
    world.interpreter.define(
        parse_groovy('def greet(Map m, who) { echo "${m.say} $who" }\ndef twice(body) { body(); body() }')
    )
    step = parse(wrapped("steps", "greet 'you', say: 'hi'\n")).pipeline
    assert step is not None
    position = step.stages[0].steps[0].position
    world.interpreter.run_step("greet", ["you"], {"say": "hi"}, None, position)
    world.interpreter.run_step("twice", [], {}, lambda: world.call_step("sh", ["x"], {}, None, position), position)
    world.interpreter.run_step("sh", ["y"], {}, None, position)
    assert world.called() == ["echo hi you", "sh x", "sh x", "sh y"]


def test_one_expression_is_evaluated_with_the_scripts_variables() -> None:
    world = World()
    world.run("shared = 'x'")
    (statement,) = parse_groovy('"${shared}-${env.FOO}"')
    assert world.interpreter.evaluate(statement.expression) == "x-foo"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("docker.build('x')", "“docker” exists only in Jenkins"),
        ("Jenkins.instance", "“Jenkins” exists only in Jenkins"),
        ("new File('/etc/passwd').text", "“new File” exists only in Jenkins"),
        ("currentBuild.rawBuild", "“currentBuild.rawBuild” exists only in Jenkins"),
        ("currentBuild.number = 3", "“currentBuild.number = …” exists only in Jenkins"),
        ("System.exit(1)", "“System.exit” exists only in Jenkins"),
        ("slackSend 'x'", "The step “slackSend” comes from a Jenkins plugin"),
        ("bat 'dir'", "The step “bat” needs Windows"),
        ("class A { }", "does not understand this Groovy (“class A”)"),
        ("'x' as File", "cannot be converted to “File”"),
        ("break", "“break” stands outside of a loop"),
        ("new Runnable() { }", "“new Runnable” exists only in Jenkins"),
    ],
)
def test_what_cannot_run_says_so_and_is_not_caught_by_the_script(text: str, sentence: str) -> None:
    for script in (text, f"try {{ {text} }} catch (Throwable e) {{ }}"):
        with pytest.raises(NotRunnable) as caught:
            run(script)
        assert sentence in str(caught.value.sentence)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("'x'.__class__", "MissingPropertyException"),
        ("'x'.foo()", "MissingMethodException"),
        ("''.getClass().__subclasses__()", "MissingMethodException"),
        ("'{0.__class__}'.format('x')", "MissingMethodException"),
        ("[].__init__()", "MissingMethodException"),
        ("params.X = 1; params = 2; params.__class__", "MissingPropertyException"),
        ("'abc'.substring(9)", "StringIndexOutOfBoundsException"),
        ("'abc'.take('x')", "MissingMethodException"),
        ("[1] < [2]", "IllegalArgumentException"),
        ("'x' - [1] - 5 / 'a'", "MissingMethodException"),
        ("'x' =~ '('", "PatternSyntaxException"),
        ("[].first()", "IndexOutOfBoundsException"),
        ("def f(a) { }\nf()", "MissingMethodException"),
        ("x++", "MissingPropertyException"),
    ],
)
def test_wrong_code_throws_what_a_script_may_catch(text: str, name: str) -> None:
    with pytest.raises(GroovyError) as caught:
        run(text)
    assert name in caught.value.type_names


LIMITS = [
    ("def s = 'x' * 3000000; (1..9999).collect { s + it }", "more than 256 MiB"),
    ("(1..9999).collect { [0] * 99999 }", "more than 256 MiB"),
    ("def s = 'x' * 3000000; String.format('%s%s', s, s)", "longer than 4096 KiB"),
    ("('a' * 99999).replace('a', 'b' * 99999)", "longer than 4096 KiB"),
    ("('a' * 99999).replaceAll('a') { 'b' * 99999 }", "longer than 4096 KiB"),
    ("while (true) { }", "repeats more than 100000 times"),
    ("for (;;) { }", "repeats more than 100000 times"),
    ("def f(n) { f(n + 1) }\nf(0)", "calls itself more than 40 times deep"),
    ("def c; c = { c() }; c()", "calls itself more than 40 times deep"),
    ("def s = 'x'; for (i in 1..90) { s += s }", "longer than 4096 KiB"),
    ("'x' * 99999999", "longer than 4096 KiB"),
    ("def s = 'x' * 1000000; \"$s$s$s$s$s\"", "longer than 4096 KiB"),
    ("'x'.padLeft(99999999)", "longer than 4096 KiB"),
    ("'aa'.replaceAll('a', 'x' * 3000000)", "longer than 4096 KiB"),
    ("[0] * 999999", "more than 100000 items"),
    ("(1..9999999)", "more than 100000 items"),
    ("def l = [1, 2]; for (i in 1..60) { l += l }", "more than 100000 items"),
    ("def l = []; l[99999999] = 1", "more than 100000 items"),
    ("9 ** 999999", "too large"),
    ("def n = 9; for (i in 1..90) { n *= n }", "too large"),
    ("'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!' ==~ /(a+)+/", "repeats a repetition"),
    ("'a' ==~ '" + "a" * 1001 + "'", "longer than 1000 characters"),
    ("def s = 'a' * 999999; s =~ /b/", "too long for a regular expression"),
    ("999999999.times { }", "more than 100000 items"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), LIMITS, ids=[text[:40] for text, _ in LIMITS])
def test_every_limit_is_a_sentence_of_its_own(text: str, sentence: str) -> None:
    with pytest.raises(NotRunnable) as caught:
        run(text)
    assert sentence in str(caught.value.sentence)


def test_limits_count_anew_for_every_script() -> None:
    world = World()
    for _ in range(3):
        world.run("for (i in 1..60000) { }")
