"""One name everywhere: state = folder = logical id = substitution."""

from __future__ import annotations

import re

from tests.definition import ASL_FILE, ROOT, rendered, resources, states, substitutions

FUNCTIONS = resources("AWS::Serverless::Function")
NOT_IN_THE_WORKFLOW = {"Sweep", "EnableBucketEvents"}


def _folder(state_name: str) -> str:
    return state_name.lower().replace(" ", "_")


def _camel(folder: str) -> str:
    return "".join(word.capitalize() for word in folder.split("_"))


def test_each_task_that_invokes_a_function_has_one_named_like_itself() -> None:
    tasks = {name: state for name, state in states(rendered()) if "FunctionName" in state.get("Parameters", {})}
    assert tasks
    for name, state in tasks.items():
        logical_id = f"{_camel(_folder(name))}Function"
        assert state["Parameters"]["FunctionName"].endswith(f":{logical_id}")
        assert FUNCTIONS[logical_id]["Handler"] == f"{_folder(name)}.app.handler"
        assert (ROOT / "functions" / _folder(name) / "app.py").is_file()


def test_each_function_is_a_task_or_known_to_stand_beside_the_workflow() -> None:
    tasks = {f"{_camel(_folder(name))}Function" for name, state in states(rendered()) if state["Type"] == "Task"}
    assert set(FUNCTIONS) - tasks == {f"{name}Function" for name in NOT_IN_THE_WORKFLOW & _names()}


def _names() -> set[str]:
    return {name.removesuffix("Function") for name in FUNCTIONS}


def test_each_handler_folder_is_a_function_of_the_template() -> None:
    folders = {path.parent.name for path in (ROOT / "functions").glob("*/app.py")}
    assert {f"{_camel(folder)}Function" for folder in folders} == set(FUNCTIONS)


def test_each_substitution_is_quoted_and_none_is_missing_or_unused() -> None:
    text = ASL_FILE.read_text()
    used = set(re.findall(r"\$\{(\w+)\}", text))
    assert used == set(substitutions())
    assert all(name == "Partition" or f'"${{{name}}}"' in text for name in used)


def test_each_function_has_a_role_of_its_own() -> None:
    for name, properties in FUNCTIONS.items():
        assert properties["Role"] == {"Fn::GetAtt": [f"{name}Role", "Arn"]}


def test_the_state_machine_may_invoke_exactly_its_functions() -> None:
    role = resources("AWS::IAM::Role")["InvalidationStateMachineRole"]
    statements = role["Policies"][0]["PolicyDocument"]["Statement"]
    invoked = [each for each in statements if "lambda:InvokeFunction" in each["Action"]]
    assert len(invoked) == 1
    allowed = {resource["Fn::GetAtt"][0] for resource in invoked[0]["Resource"]}
    assert allowed == {name for name in FUNCTIONS if name.removesuffix("Function") not in NOT_IN_THE_WORKFLOW}
