"""What the executor gets: the model of a pipeline and the stages as they will be."""

from __future__ import annotations

from builds.drivers.builder.embedded.steps import ALL_STEPS
from builds.jenkinsfile import MAX_CELLS, RUNNABLE_STEPS, Pipeline, StageNode, parse, stage_tree, validate
from builds.jenkinsfile.groovy import nodes as n
from builds.jenkinsfile.model import POST_ORDER
from builds.jenkinsfile.steps import VALUE_STEPS, not_runnable

from .cases import wrapped

FULL = """
def version = '1'
pipeline {
  agent { node { label 'linux'
    customWorkspace '/tmp/w' } }
  environment { A = 'x'
    B = credentials('id') }
  options { timeout(time: 5, unit: 'MINUTES')
    timestamps() }
  parameters { string(name: 'P', defaultValue: 'd')
    choice(name: 'C', choices: ['a', 'b']) }
  stages {
    stage('Build') {
      when { beforeAgent true
        anyOf { branch 'main'
          expression { params.P == 'd' } } }
      input { message 'Go?'
        ok 'Yes'
        parameters { string(name: 'WHO') } }
      steps {
        sh script: 'make', returnStdout: true
        dir('sub') { echo "in ${env.A}" }
        script { def x = 1
          echo "$x" }
        sh([script: 'x', returnStatus: true])
      }
      post { failure { echo 'f' }
        always { echo 'a' } }
    }
    stage('Test') {
      failFast true
      parallel {
        stage('Unit') { steps { echo 'u' } }
        stage('More') { stages { stage('Slow') { steps { echo 's' } } } }
      }
    }
    stage('Cells') {
      matrix {
        agent any
        axes { axis { name 'OS'
            values 'linux', 'mac' }
          axis { name 'N'
            values 1, 2 } }
        excludes { exclude { axis { name 'OS'
              values 'mac' }
            axis { name 'N'
              notValues '2' } } }
        stages { stage('Run') { steps { echo "$OS" } } }
      }
    }
  }
}
echo 'after'
"""


def pipeline_of(text: str) -> Pipeline:
    result = parse(text)
    assert result.errors == ()
    assert result.pipeline is not None
    return result.pipeline


def text_of(expression: n.Expression | None) -> object:
    assert isinstance(expression, n.Literal)
    return expression.value


def test_the_model_holds_what_the_text_says() -> None:
    pipeline = pipeline_of(FULL)
    assert (pipeline.agent.kind, text_of(pipeline.agent.option("customWorkspace"))) == ("node", "/tmp/w")
    assert [(entry.name, type(entry.value)) for entry in pipeline.environment] == [("A", n.Literal), ("B", n.Call)]
    assert [option.name for option in pipeline.options] == ["timeout", "timestamps"]
    assert text_of(pipeline.options[0].argument("time")) == 5
    assert [(p.kind, text_of(p.argument("name"))) for p in pipeline.parameters] == [("string", "P"), ("choice", "C")]
    assert isinstance(pipeline.before[0], n.Declare)
    assert isinstance(pipeline.after[0], n.ExpressionStatement)


def test_a_stage_holds_its_directives() -> None:
    stage = pipeline_of(FULL).stages[0]
    assert stage.when is not None
    assert stage.when.before_agent
    assert not stage.when.before_input
    (group,) = stage.when.conditions
    assert [child.name for child in group.children] == ["branch", "expression"]
    assert group.children[1].closure is not None
    assert stage.input is not None
    assert (text_of(stage.input.message), text_of(stage.input.option("ok"))) == ("Go?", "Yes")
    assert [parameter.kind for parameter in stage.input.parameters] == ["string"]
    assert [condition.name for condition in stage.post] == ["failure", "always"]
    assert (stage.position.line, stage.position.column) == (13, 5)


def test_steps_hold_arguments_blocks_and_scripts() -> None:
    make, folder, script, by_map = pipeline_of(FULL).stages[0].steps
    assert (text_of(make.argument("script")), text_of(make.argument("returnStdout", None))) == ("make", True)
    assert make.body is None
    assert folder.body is not None
    assert text_of(folder.argument("path")) == "sub"
    assert isinstance(folder.body[0].args[0], n.GString)
    assert script.body is None
    assert script.script is not None
    assert len(script.script) == 2
    assert [item.name for item in by_map.named] == ["script", "returnStatus"]


def test_the_older_parallel_becomes_branches_of_the_stage() -> None:
    stage = pipeline_of(wrapped("steps", "parallel(a: { echo 'x' }, 'b c': { sh 'y' }, failFast: true)\n")).stages[0]
    assert stage.fail_fast
    assert stage.steps == ()
    assert [(branch.name, [step.name for step in branch.steps]) for branch in stage.parallel] == [
        ("a", ["echo"]),
        ("b c", ["sh"]),
    ]


def test_cells_are_all_combinations_but_the_excluded() -> None:
    matrix = pipeline_of(FULL).stages[2].matrix
    assert matrix is not None
    assert list(matrix.cells()) == [{"OS": "linux", "N": "1"}, {"OS": "linux", "N": "2"}, {"OS": "mac", "N": "2"}]
    assert matrix.cell.agent is not None


def test_a_matrix_of_millions_costs_nothing_until_it_is_walked() -> None:
    axes = "".join(f"axis {{ name 'A{i}'\n values {', '.join(map(repr, range(20)))} }}\n" for i in range(8))
    text = wrapped("stage", f"matrix {{ axes {{ {axes} }}\nstages {{ stage('X') {{ steps {{ echo 'x' }} }} }} }}\n")
    result = validate(text)
    assert result.valid
    assert len(result.stages[0].children) == MAX_CELLS
    assert "25600000000 cells" not in str(result.warnings)
    assert "cells" in str(result.warnings[0].message)


def _drawn(nodes: tuple[StageNode, ...]) -> list[object]:
    return [
        (node.kind, node.name, _drawn(node.children)) if node.children else (node.kind, node.name) for node in nodes
    ]


def test_the_tree_shows_branches_and_cells() -> None:
    assert _drawn(stage_tree(pipeline_of(FULL))) == [
        ("stage", "Build"),
        ("parallel", "Test", [("stage", "Unit"), ("stage", "More", [("stage", "Slow")])]),
        (
            "matrix",
            "Cells",
            [
                ("cell", "Matrix - OS = 'linux', N = '1'", [("stage", "Run")]),
                ("cell", "Matrix - OS = 'linux', N = '2'", [("stage", "Run")]),
                ("cell", "Matrix - OS = 'mac', N = '2'", [("stage", "Run")]),
            ],
        ),
    ]


def test_paths_are_unique() -> None:
    seen: list[tuple[str, ...]] = []
    pending = list(stage_tree(pipeline_of(FULL)))
    while pending:
        node = pending.pop()
        seen.append(node.path)
        assert node.path[-1] == node.name
        pending.extend(node.children)
    assert len(set(seen)) == len(seen)


def test_problems_come_in_the_order_of_the_text_and_all_at_once() -> None:
    result = validate("pipeline {\n  agent foo\n  nope { }\n  stages { stage('A') { } }\n}")
    assert [problem.line for problem in result.errors] == [2, 3, 4]
    assert result.stages == ()


def test_unicode_counts_as_people_count_it() -> None:
    result = validate(wrapped("steps", "echo '好😀'; nope\n"))
    assert [(problem.line, problem.column) for problem in result.errors] == [(6, 12)]


def test_every_condition_of_post_has_its_place_in_the_order() -> None:
    assert POST_ORDER[0] == "always"
    assert POST_ORDER[-1] == "cleanup"
    body = "".join(f"{name} {{ echo 'x' }}\n" for name in POST_ORDER)
    assert validate(wrapped("stage", f"steps {{ echo 'x' }}\npost {{ {body} }}\n")).valid


def test_what_validate_calls_runnable_is_what_the_embedded_builder_runs() -> None:
    assert set(ALL_STEPS) == RUNNABLE_STEPS | VALUE_STEPS


def test_a_warning_is_the_sentence_of_the_failure() -> None:
    for name in ("slackSend", "bat"):
        (warning,) = validate(wrapped("steps", f"{name} 'x'\n")).warnings
        assert warning.message == not_runnable(name)
        assert name not in RUNNABLE_STEPS


def test_a_problem_can_be_stored_and_told_again() -> None:
    (problem,) = validate(wrapped("stages", "stage('A') { }\n")).errors
    told = type(problem.message).from_json(problem.message.as_json())
    assert str(told) == str(problem.message)
