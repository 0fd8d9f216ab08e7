"""environment, parameters, when, input, parallel, matrix, options and agents as Jenkins means them."""

from __future__ import annotations

import base64
import threading
import time

import pytest

from builds.drivers.builder.base import Credential
from builds.drivers.builder.embedded.when import compare
from fangduoduo_release.common.errors import Invalid
from tests.waiting import until

from .ground import Ground, Repository, pipeline

CREDENTIALS = {
    "token": Credential("text", {"secret": "tok-SECRET-1234"}),
    "login": Credential("username_password", {"username": "deployer", "password": "pa ss'w\"0rd-long"}),
    "kube": Credential("file", {"name": "kubeconfig", "content": "apiVersion: secret-file-content\n"}),
    "binary": Credential("file", {"name": "blob", "content_base64": base64.b64encode(b"\x00\xff").decode()}),
    "key": Credential("ssh_key", {"username": "git", "private_key": "-----BEGIN K-----\nabcdefghijk\n-----END K-----"}),
}


def test_environment_values_name_each_other_in_any_order(ground: Ground) -> None:
    ran = ground.run(
        pipeline(
            'stage(\'S\') { environment { D = "${C}-stage"; PATH = "/opt/x:${env.PATH}" } steps { sh \'echo ">$A $B $C $D ${PATH%%:*}"\' } }',
            'environment { A = "${B}1"; B = \'b\'; C = "${env.A}/${BUILD_NUMBER}" + "!" }',
        )
    )
    assert ran.said() == ["b1 b b1/7! b1/7!-stage /opt/x"]


def test_credentials_in_the_environment_come_whole_and_split(ground: Ground) -> None:
    ran = ground.run(
        pipeline(
            'stage(\'S\') { steps { sh \'\'\'set +x\n[ "$T" = tok-SECRET-1234 ] && [ "$L_USR" = deployer ] && [ "$L" = "$L_USR:$L_PSW" ] && echo ">equal"\n'
            'echo ">$T"; echo ">$L_PSW"; echo ">$(stat -c %a $K)"; grep -q secret-file $K && echo ">file"; grep -q BEGIN $S && echo ">$S_USR"\'\'\' } }',
            "environment { T = credentials('token'); L = credentials('login'); K = credentials('kube'); S = credentials('key') }",
        ),
        credentials=CREDENTIALS,
    )
    assert ran.said() == ["equal", "****", "****", "600", "file", "git"]
    assert not list((ran.root / "tmp").rglob("kubeconfig"))


def test_with_credentials_binds_and_forgets(ground: Ground) -> None:
    ran = ground.steps(
        "withCredentials([string(credentialsId: 'token', variable: 'T'),"
        " usernamePassword(credentialsId: 'login', usernameVariable: 'U', passwordVariable: 'P'),"
        " file(credentialsId: 'binary', variable: 'F'),"
        " sshUserPrivateKey(credentialsId: 'key', keyFileVariable: 'K', usernameVariable: 'KU')]) {"
        " sh 'echo \">$T $U $P $(wc -c < $F) $KU\"; echo $F > where; cat $K' }\n"
        "sh 'echo \">${T:-gone} $(test -e $(cat where) || echo removed)\"'",
        credentials=CREDENTIALS,
    )
    assert ran.said() == ["**** deployer **** 2 git", "gone removed"]
    assert "abcdefghijk" not in ran.text
    assert "tok-SECRET" not in ran.text


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        ("withCredentials([string(credentialsId: 'nope', variable: 'X')]) { sh 'true' }", "no credential “nope”"),
        ("withCredentials([string(credentialsId: 'login', variable: 'X')]) { sh 'true' }", "does not fit here"),
    ],
)
def test_a_credential_that_is_missing_or_does_not_fit_says_so(ground: Ground, steps: str, sentence: str) -> None:
    ran = ground.steps(steps, credentials=CREDENTIALS)
    assert ran.state == "failed"
    assert sentence in ran.sentence


def test_secrets_never_leave_in_any_channel(ground: Ground) -> None:
    secret = "tok-SECRET-1234"
    ran = ground.run(
        pipeline(
            "stage('S') { environment { T = credentials('token') } steps {"
            " sh '''echo $T; printf %s user:$T | base64; echo $T | sed \"s/./&/g\"; printf 'tok-SEC'; sleep 0.1; printf 'RET-1234\\n';"
            " printf '\\\\033[31mtok-\\\\0SECRET-1234\\n' '''\n"
            ' script { currentBuild.description = "with ${T}" }\n error "it was ${T}" } }'
        ),
        credentials=CREDENTIALS,
    )
    everything = ran.text + ran.sentence + ran.outcome.evidence + repr(ran.sink.names)
    everything += " ".join(str(u.sentence) for u in ran.sink.updates)
    assert secret not in everything
    assert base64.b64encode(b"user:" + secret.encode()).decode()[8:24] not in everything
    assert everything.count("****") >= 6


def test_parameters_have_defaults_types_and_reach_script_and_shell(ground: Ground) -> None:
    declared = (
        "parameters { string(name: 'WHO', defaultValue: 'world'); booleanParam(name: 'DRY', defaultValue: true);"
        " choice(name: 'ENV', choices: ['test', 'prod']); text(name: 'NOTES', defaultValue: 'a\\nb');"
        " password(name: 'PW', defaultValue: 'hidden-default') }"
    )
    stage = (
        "stage('S') { steps { sh 'echo \">$WHO $DRY $ENV $PW\"'\n"
        " script { echo \">${params.DRY == true} ${params.ENV} ${WHO}\"; if (params.DRY) { echo '>dry' } } } }"
    )
    ran = ground.run(pipeline(stage, declared))
    assert ran.said() == ["world true test ****", "true test world", "dry"]
    ran = ground.run(pipeline(stage, declared), parameters={"DRY": "false", "ENV": "prod", "WHO": "$(id)", "X": "1"})
    assert ran.said() == ["$(id) false prod ****", "false prod $(id)"]
    ran = ground.run(pipeline(stage, declared), parameters={"ENV": "elsewhere"})
    assert ran.state == "failed"
    assert "not one of the choices" in ran.sentence


@pytest.mark.parametrize(
    ("condition", "runs"),
    [
        ("branch 'main'", True),
        ("branch 'MAIN'", True),
        ("branch 'ma*'", True),
        ("branch 'release/*'", False),
        ("branch pattern: 'ma.n', comparator: 'REGEXP'", True),
        ("branch pattern: 'ma', comparator: 'REGEXP'", False),
        ("branch pattern: 'Main', comparator: 'EQUALS'", False),
        ("tag '*'", False),
        ("buildingTag()", False),
        ("not { buildingTag() }", True),
        ("environment name: 'DEPLOY', value: 'yes'", True),
        ("environment name: 'DEPLOY', value: 'YES'", False),
        ("environment name: 'DEPLOY', value: 'YES', ignoreCase: true", True),
        ("equals expected: 7, actual: currentBuild.number", True),
        ("equals expected: '7', actual: currentBuild.number", False),
        ("expression { params.FLAG }", True),
        ("expression { return env.DEPLOY == 'no' || BRANCH_NAME.startsWith('x') }", False),
        ("expression { 'false' }", True),
        ("expression { sh(script: 'true', returnStatus: true) == 0 }", True),
        ("allOf { branch 'main'; environment name: 'DEPLOY', value: 'yes' }", True),
        ("allOf { branch 'main'; branch 'other' }", False),
        ("anyOf { branch 'other'; branch 'main' }", True),
        ("anyOf { branch 'a'; allOf { branch 'main'; not { branch 'main' } } }", False),
        ("triggeredBy 'SCMTrigger'", True),
        ("triggeredBy 'TimerTrigger'", False),
        ("triggeredBy cause: 'UserIdCause', detail: 'ann'", False),
        ("changeRequest()", False),
        ("branch 'main'\n environment name: 'DEPLOY', value: 'no'", False),
        ("beforeAgent true\n branch 'other'", False),
        ("beforeInput true\n branch 'main'", True),
        ("beforeOptions true\n branch 'other'", False),
    ],
)
def test_when(ground: Ground, condition: str, runs: bool) -> None:
    text = pipeline(
        f"stage('S') {{ when {{ {condition} }} steps {{ echo '>ran' }} post {{ always {{ echo '>post' }} }} }}",
        "environment { DEPLOY = 'yes' } parameters { booleanParam(name: 'FLAG', defaultValue: true) }",
    )
    ran = ground.run(text)
    assert ran.said() == (["ran", "post"] if runs else []), ran.text
    assert ran.states == {"S": "succeeded" if runs else "skipped"}
    assert ran.state == "succeeded"
    if not runs:
        assert "when" in str(ran.sink.updates[-1].sentence)


def test_when_on_a_tag(ground: Ground) -> None:
    text = pipeline(
        "stage('S') { when { tag pattern: 'v\\\\d+', comparator: 'REGEXP' } steps { sh 'echo \">$TAG_NAME\"' } }"
    )
    assert ground.run(text, ref="v12", is_tag=True).said() == ["v12"]
    assert ground.run(text, ref="x12", is_tag=True).said() == []


def test_comparators_know_slashes() -> None:
    assert compare("feature/a", "feature/*", "GLOB")
    assert not compare("feature/a/b", "feature/*", "GLOB")
    assert compare("feature/a/b", "feature/**", "GLOB")
    assert compare("feature/a", "**", "GLOB")


@pytest.mark.parametrize(
    ("condition", "runs"),
    [
        ("changeset 'src/**'", True),
        ("changeset '**/*.PY'", True),
        ("changeset pattern: '**/*.PY', caseSensitive: true", False),
        ("changeset 'docs/**'", False),
        ("changeset pattern: 'src/.*[.]py', comparator: 'REGEXP'", True),
        ("changelog '.*[Ff]ix.*'", True),
        ("changelog 'Fix'", False),
    ],
)
def test_when_on_what_changed(ground: Ground, condition: str, runs: bool) -> None:
    before = ground.commit
    after = ground.repository.commit({"src/app.py": f"# {condition}\n"}, "Fix the thing\n\nbody", branch="changes")
    text = pipeline(
        f"stage('S') {{ when {{ {condition} }} steps {{ echo \">${{currentBuild.changeSets.size()}}\" }} }}"
    )
    ran = ground.run(text, commit=after, previous_commit=before, ref="changes")
    assert ran.said() == (["1"] if runs else []), ran.text
    assert ground.run(text, commit=after, ref="changes").said() == []


def test_parallel_branches_run_at_once_with_their_name_on_each_line(ground: Ground) -> None:
    meet = "sh 'touch %s; for i in $(seq 3000); do test -e %s && break; sleep 0.02; done; test -e %s; echo \">met\"'"
    ran = ground.run(
        pipeline(
            "stage('P') { parallel { stage('one') { steps { " + meet % ("a", "b", "b") + " } }"
            " stage('two') { steps { " + meet % ("b", "a", "a") + " } } } post { success { echo '>both' } } }"
        )
    )
    assert ran.states == {"P": "succeeded", "P/one": "succeeded", "P/two": "succeeded"}
    assert {"[one] >met", "[two] >met"} <= set(ran.sink.lines)
    assert ran.said()[-1] == "both"
    stages = {stage for data, stage, step in ran.sink.marks if b"met" in data and step}
    assert stages == {"P/one", "P/two"}


def test_a_failing_branch_lets_the_others_finish_unless_fail_fast(ground: Ground) -> None:
    text = (
        "stage('P') { %s parallel { stage('bad') { steps { sh 'until [ -e begun ]; do sleep 0.02; done; exit 5' } }"
        " stage('slow') { steps { sh 'touch begun; sleep %s' \n echo '>done' } post { aborted { echo '>aborted' } always { echo '>post' } } } } } stage('after') { steps { echo '>after' } }"
    )
    ran = ground.run(pipeline(text % ("", "0.5")))
    assert ran.states == {"P": "failed", "P/bad": "failed", "P/slow": "succeeded", "after": "skipped"}
    assert ran.said() == ["done", "post"]
    began = time.monotonic()
    ran = ground.run(pipeline(text % ("failFast true\n", "600")))
    assert time.monotonic() - began < 120
    assert ran.states == {"P": "failed", "P/bad": "failed", "P/slow": "cancelled", "after": "skipped"}
    assert ran.state == "failed"
    assert ran.sentence == "script returned exit code 5"
    assert "post" in ran.said()
    ran = ground.run(pipeline(text % ("", "600"), options="parallelsAlwaysFailFast()"))
    assert ran.states["P/slow"] == "cancelled"


def test_a_matrix_runs_every_cell_that_is_not_excluded(ground: Ground) -> None:
    ran = ground.run(
        pipeline(
            "stage('M') { matrix { axes { axis { name 'OS'; values 'linux', 'mac' } axis { name 'ARCH'; values 'x86', 'arm' } }"
            " excludes { exclude { axis { name 'OS'; values 'mac' } axis { name 'ARCH'; notValues 'arm' } } }"
            ' environment { BOTH = "${OS}-${ARCH}" }'
            " stages { stage('build') { steps { sh 'echo \">$OS $ARCH $BOTH\"' } } stage('skip') { when { environment name: 'OS', value: 'mac' } steps { echo '>mac only' } } } } }"
        )
    )
    assert sorted(line.partition(">")[2] for line in ran.sink.lines if "]" in line and ">" in line and "+" not in line) == [
        "linux arm linux-arm", "linux x86 linux-x86", "mac arm mac-arm", "mac only",
    ]  # fmt: skip
    cells = {i: s for i, s in ran.states.items() if i.count("/") == 1}
    assert len(cells) == 3
    assert set(cells.values()) == {"succeeded"}
    kinds = {u.kind for u in ran.sink.updates}
    assert {"matrix", "cell", "stage"} <= kinds
    assert ran.state == "succeeded"


def test_a_failing_cell_fails_the_matrix(ground: Ground) -> None:
    ran = ground.run(
        pipeline(
            "stage('M') { matrix { axes { axis { name 'N'; values '1', '2' } } stages { stage('t') { steps { sh 'test $N = 1' } } } } }"
        )
    )
    assert ran.states["M"] == "failed"
    assert sorted(s for i, s in ran.states.items() if i.endswith("/t")) == ["failed", "succeeded"]


def test_an_input_waits_and_gives_its_values_to_the_stage(ground: Ground) -> None:
    running = ground.start(
        pipeline(
            "stage('Ask') { input { message 'Deploy?'; ok 'Go'; submitter 'ann, ops'; submitterParameter 'WHO'"
            "\n parameters { choice(name: 'WHERE', choices: ['test', 'prod']); booleanParam(name: 'FAST', defaultValue: false) } }"
            " steps { sh 'echo \">$WHERE $FAST $WHO\"' } }"
        )
    )
    asked = running.wait_for_input()
    assert (asked.message, asked.ok, asked.submitters, asked.stage) == ("Deploy?", "Go", ("ann", "ops"), "Ask")
    assert [(p.name, p.kind, p.choices) for p in asked.parameters] == [
        ("WHERE", "choice", ("test", "prod")),
        ("FAST", "booleanParam", ()),
    ]
    assert running.sink.states()["Ask"] == "paused"
    execution = running.execution
    with pytest.raises(Invalid):
        execution.answer_input(asked.id, True, {"WHERE": "moon"}, "ann")
    with pytest.raises(Invalid):
        execution.answer_input(asked.id, True, {"OTHER": "x"}, "ann")
    assert not execution.answer_input("unknown", True, {}, "ann")
    assert execution.answer_input(asked.id, True, {"WHERE": "prod", "FAST": True}, "ann")
    assert not execution.answer_input(asked.id, False, {}, "late")
    ran = running.end()
    assert ran.said() == ["prod true ann"]
    assert ran.sink.closed == [(asked.id, "approved", "ann")]
    assert "paused" in [u.state for u in ran.sink.updates]


def test_a_rejected_input_aborts_and_the_next_stages_are_skipped(ground: Ground) -> None:
    running = ground.start(
        pipeline(
            "stage('Ask') { steps { input 'Sure?' } } stage('B') { steps { echo 'b' } }",
            "post { aborted { echo '>aborted' } }",
        )
    )
    asked = running.wait_for_input()
    assert running.execution.answer_input(asked.id, False, {}, "bob")
    ran = running.end()
    assert (ran.state, ran.sentence, ran.said()) == ("cancelled", "bob said no.", ["aborted"])
    assert ran.states == {"Ask": "cancelled", "B": "skipped"}


def test_the_input_step_gives_its_value_and_respects_a_timeout(ground: Ground) -> None:
    running = ground.start(
        pipeline(
            "stage('A') { steps { script { def v = input(message: 'Which?', parameters: [string(name: 'V', defaultValue: '1')])\n echo \">${v}\" }\n"
            "catchError(buildResult: 'SUCCESS', stageResult: 'SUCCESS') { timeout(time: 2, unit: 'SECONDS') { input 'Never answered' } } } }"
        )
    )
    asked = running.wait_for_input()
    running.execution.answer_input(asked.id, True, {"V": "42"}, "ann")
    ran = running.end()
    assert ran.said() == ["42"]
    assert ran.sink.closed[1][1] == "stopped"
    assert ran.state == "cancelled"


def test_options_of_pipeline_and_stage_wrap_what_is_inside(ground: Ground) -> None:
    ran = ground.run(
        pipeline(
            "stage('A') { options { retry(2) } steps { sh 'echo \">try\"; test -e x || { touch x; exit 1; }' } }"
            " stage('B') { options { timeout(time: 1, unit: 'SECONDS') } steps { sh 'sleep 600' } post { aborted { echo '>b aborted' } } }",
            options="buildDiscarder(logRotator(numToKeepStr: '5'))\n disableConcurrentBuilds()\n timestamps()",
        )
    )
    assert ran.states == {"A": "succeeded", "B": "cancelled"}
    assert "The option buildDiscarder has no effect here." in ran.text
    assert [line.partition(">")[2] for line in ran.sink.lines if "] >" in line] == ["try", "try", "b aborted"]
    assert ran.text.count("ERROR: The time limit of 1 s was exceeded.") == 1


def test_a_time_limit_of_the_pipeline_lets_post_run(ground: Ground) -> None:
    ran = ground.run(
        pipeline("stage('A') { steps { sh 'sleep 600' } }", "post { aborted { echo '>aborted' } cleanup { sh 'echo \">cleanup\"' } }",
                 options="timeout(time: 500, unit: 'MILLISECONDS')")
    )  # fmt: skip
    assert ran.said() == ["aborted", "cleanup"]
    assert ran.state == "cancelled"


def test_variables_and_methods_around_the_pipeline_are_known_in_it(ground: Ground) -> None:
    ran = ground.run(
        "def greeting = 'hi'\n def greet(name) { return \"${greeting0()} ${name}\" }\n def greeting0() { 'hello' }\n"
        + pipeline(
            "stage('S') { steps { echo \">${greet('you')} ${greeting}\" } } stage('P') { parallel { stage('x') { steps { echo \">${greet('x')}\" } } } }"
        )
    )
    assert ran.said() == ["hello you hi", "hello x"]


def test_the_commit_is_checked_out_and_pinned(ground: Ground) -> None:
    first = ground.commit
    ground.repository.commit({"later.txt": "x"}, "Later")
    ran = ground.run(
        "pipeline { agent any stages { stage('S') { steps { sh 'ls; git rev-parse HEAD; git log --oneline | wc -l' \n"
        ' script { def v = checkout scm\n echo ">${v.GIT_COMMIT}" } } } } }',
        commit=first,
    )
    assert ran.said() == [first]
    assert "later.txt" not in ran.text
    assert "README.md" in ran.text
    assert [u.name for u in ran.sink.updates][:2] == ["Declarative: Checkout SCM"] * 2


def test_checkout_into_a_folder_and_of_another_repository_is_judged(ground: Ground) -> None:
    ran = ground.run(
        "pipeline { agent any options { checkoutToSubdirectory('src0') } stages { stage('S') { steps { sh 'test -e src0/README.md' \n"
        " dir('again') { git url: env.GIT_URL, branch: 'main' }\n sh 'test -e again/README.md' } } } }"
    )
    assert ran.state == "succeeded", ran.text
    for url in ("/etc", "ext::sh -c 'touch pwned'", "--upload-pack=touch pwned", "file:///etc"):
        ran = ground.steps(f"git url: \"{url}\", branch: 'main'")
        assert "no address of a Git repository" in ran.sentence, url


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"commit": "0" * 40}, "has no commit 000000000000"),
        ({"commit": "", "ref": "nope"}, "no branch or tag “nope”"),
        ({"commit": "", "ref": "--upload-pack=x"}, "no name of a branch or tag"),
        ({"commit": "HEAD; rm -rf"}, "is no commit"),
        ({"repository": "/no/such/repo.git"}, "no repository at the address"),
    ],
)
def test_a_checkout_that_cannot_be_says_one_sentence(ground: Ground, changes: dict[str, str], sentence: str) -> None:
    ran = ground.run("pipeline { agent any stages { stage('S') { steps { echo 'x' } } } }", **changes)
    assert ran.state == "failed"
    assert sentence in ran.sentence
    assert "\n" not in ran.sentence


def test_an_empty_repository_says_so(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> None:
    empty = Repository.make(tmp_path_factory.mktemp("empty"))
    ran = ground.run("pipeline { agent any stages { stage('S') { steps { echo 'x' } } } }", repository=str(empty.bare))
    assert "repository is empty" in ran.sentence


def test_hooks_and_configuration_of_others_do_not_run(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> None:
    repository = Repository.make(tmp_path_factory.mktemp("hooked"))
    commit = repository.commit({"a": "1", ".gitattributes": "* filter=evil"})
    (repository.bare / "hooks" / "post-checkout").write_text("#!/bin/sh\ntouch /tmp/fdd-hooked\n")
    (repository.bare / "hooks" / "post-checkout").chmod(0o755)
    ran = ground.run(
        "pipeline { agent any stages { stage('S') { steps { sh 'test -e a; ! test -e /tmp/fdd-hooked' } } } }",
        repository=str(repository.bare), commit=commit,
    )  # fmt: skip
    assert ran.state == "succeeded", ran.text


def test_many_branches_at_once_keep_their_lines_whole(ground: Ground) -> None:
    names = [f"b{i}" for i in range(8)]
    body = " ".join(f"stage('{n}') {{ steps {{ sh 'seq 1 300' }} }}" for n in names)
    before = threading.active_count()
    ran = ground.run(pipeline(f"stage('P') {{ parallel {{ {body} }} }}"))
    for name in names:
        numbers = [line for line in ran.sink.lines if line.startswith(f"[{name}] ") and line.split("] ")[1].isdigit()]
        assert numbers == [f"[{name}] {i}" for i in range(1, 301)]
    until(lambda: threading.active_count() <= before, what="its threads to end")


def test_scripts_make_stages_branches_and_nodes_of_their_own(ground: Ground) -> None:
    ran = ground.steps(
        "script { def names = ['x', 'y']\n def lanes = [:]\n"
        'for (n in names) { def name = n\n lanes[name] = { stage("in ${name}") { sh "echo \'>${name}\'" } } }\n'
        "parallel lanes\n"
        "node('any') { sh 'echo \">$(basename $PWD)\"' }\n"
        "try { parallel(failFast: true, bad: { sh 'sleep 0.1; exit 3' }, slow: { sleep 60 }) } catch (e) { echo \">${e.message}\" } }"
    )
    assert sorted(ran.said()[:2]) == ["x", "y"]
    assert ran.said()[2:] == ["ws@2", "script returned exit code 3"]
    assert ran.states == {"S": "succeeded", "S/in x": "succeeded", "S/in y": "succeeded"}
    assert ran.state == "succeeded"


def test_a_failing_stage_of_a_script_fails_the_stage_around_it(ground: Ground) -> None:
    ran = ground.steps("script { stage('inner') { unstable 'x' }\n stage('bad') { sh 'false' } }")
    assert ran.states == {"S": "failed", "S/inner": "unstable", "S/bad": "failed"}


def test_a_matrix_too_large_fails_its_stage_with_a_sentence(ground: Ground) -> None:
    many = ", ".join(f"'{i}'" for i in range(40))
    ran = ground.run(
        pipeline(
            f"stage('M') {{ matrix {{ axes {{ axis {{ name 'A'; values {many} }} axis {{ name 'B'; values {many} }} }}"
            " stages { stage('t') { steps { echo 'x' } } } } }"
        )
    )
    assert ran.states["M"] == "failed"
    assert "1600 cells" in ran.sentence


def test_options_and_tools_that_mean_nothing_here_are_noted(ground: Ground) -> None:
    ran = ground.run(pipeline("stage('S') { options { lock('x') } tools { maven 'M3' } steps { echo '>ran' } }"))
    assert "The option lock has no effect here." in ran.text
    assert "installs no tools: “maven”" in ran.text
    assert ran.said() == ["ran"]
