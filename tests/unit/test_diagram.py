from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tools.diagram import BEGIN, END, main, mermaid, replaced

POLLING: dict[str, Any] = {
    "StartAt": "Get Invalidation",
    "States": {
        "Get Invalidation": {
            "Type": "Task",
            "Next": "Completed?",
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Failed"}],
        },
        "Completed?": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.status", "StringEquals": "Completed", "Next": "Done"}],
            "Default": "Wait",
        },
        "Wait": {"Type": "Wait", "Seconds": 5, "Next": "Get Invalidation"},
        "Done": {"Type": "Succeed"},
        "Failed": {"Type": "Fail"},
    },
}


def test_choices_are_diamonds_waits_are_round_and_a_catch_is_dotted() -> None:
    assert mermaid(POLLING) == (
        "flowchart TD\n"
        "    start(( )) --> GetInvalidation\n"
        '    GetInvalidation["Get Invalidation"]:::task\n'
        '    Completed{"Completed?"}:::choice\n'
        '    Wait("Wait"):::wait\n'
        '    Done(["Done"]):::succeed\n'
        '    Failed(["Failed"]):::fail\n'
        "    GetInvalidation --> Completed\n"
        "    GetInvalidation -.-> Failed\n"
        '    Completed -->|"Completed"| Done\n'
        '    Completed -->|"otherwise"| Wait\n'
        "    Wait --> GetInvalidation\n"
        "    classDef choice fill:#fff8c5,stroke:#9a6700,color:#4d2d00\n"
        "    classDef wait fill:#eaeef2,stroke:#57606a,color:#24292f\n"
        "    classDef task fill:#ddf4ff,stroke:#0969da,color:#0a3069\n"
        "    classDef succeed fill:#dafbe1,stroke:#1a7f37,color:#044f1e\n"
        "    classDef fail fill:#ffebe9,stroke:#cf222e,color:#82071e\n"
    )


def test_a_map_is_a_subgraph_that_tells_how_many_items_run_at_once() -> None:
    each = {"Type": "Map", "MaxConcurrency": 2, "ItemProcessor": POLLING, "Next": "Over"}
    lines = mermaid({"StartAt": "Each", "States": {"Each": each, "Over": {"Type": "Succeed"}}}).splitlines()
    assert '    subgraph Each["Each (for each item, 2 at a time)"]' in lines
    assert '        GetInvalidation["Get Invalidation"]:::task' in lines
    assert lines.index("    end") < lines.index("    Each --> Over")
    assert "    class Each container" in lines


def test_each_branch_of_a_parallel_has_a_frame_of_its_own() -> None:
    branches = [{"StartAt": name, "States": {name: {"Type": "Pass", "End": True}}} for name in ("Left", "Right")]
    diagram = mermaid({"StartAt": "Both", "States": {"Both": {"Type": "Parallel", "Branches": branches, "End": True}}})
    assert 'subgraph Both_branch1[" "]\n            Left("Left"):::pass\n        end' in diagram
    assert "class Both,Both_branch1,Both_branch2 container" in diagram


def test_names_that_differ_only_in_signs_get_different_identifiers() -> None:
    states = {
        "Done": {"Type": "Pass", "Next": "Done?"},
        "Done?": {"Type": "Pass", "Next": "…"},
        "…": {"Type": "Succeed"},
    }
    diagram = mermaid({"StartAt": "Done", "States": states})
    assert 'Done("Done")' in diagram
    assert 'Done_2("Done?")' in diagram
    assert 'State(["…"])' in diagram


def test_signs_that_mermaid_would_read_are_entities() -> None:
    states = {'Say "<hi>" #1; `now`': {"Type": "Succeed"}}
    diagram = mermaid({"StartAt": 'Say "<hi>" #1; `now`', "States": states})
    assert '(["Say #34;#60;hi#62;#34; #35;1#59; #96;now#96;"])' in diagram


def test_a_long_label_is_cut() -> None:
    rule = {"Variable": "$.x", "StringEquals": "y" * 100, "Next": "Out"}
    diagram = mermaid({"StartAt": "Q", "States": {"Q": {"Type": "Choice", "Choices": [rule]}, "Out": {"Type": "Pass"}}})
    assert f'|"{"y" * 63}…"|' in diagram


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "machine.json").write_text(json.dumps(POLLING))
    (tmp_path / "README.md").write_text(f"# Title\n\n{BEGIN}\nold\n{END}\n\nThe rest.\n")
    return tmp_path


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, [*arguments, "--definition", "machine.json"])
    return result.exit_code, result.output


def test_write_brings_the_block_up_to_date_and_check_is_content_afterwards(folder: Path) -> None:
    assert run("--check", "README.md") == (
        1,
        "Error: README.md shows another state machine: run python -m tools.diagram --write README.md\n",
    )
    assert run("--write", "README.md") == (0, "")
    assert (folder / "README.md").read_text() == (
        f"# Title\n\n{BEGIN}\n```mermaid\n{mermaid(POLLING)}```\n{END}\n\nThe rest.\n"
    )
    assert run("--check", "README.md") == (0, "")


@pytest.mark.usefixtures("folder")
def test_without_a_document_the_diagram_is_printed() -> None:
    assert run() == (0, mermaid(POLLING))


@pytest.mark.parametrize("document", ["no markers", f"{END}\n{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}", BEGIN])
def test_a_document_without_one_pair_of_markers_is_refused(document: str, folder: Path) -> None:
    with pytest.raises(ValueError, match="state machine: begin"):
        replaced(document, "x")
    (folder / "README.md").write_text(document)
    code, output = run("--write", "README.md")
    assert code == 1
    assert output.startswith("Error: README.md: expected one line")


def test_a_definition_that_is_none_is_told_by_its_file(folder: Path) -> None:
    (folder / "machine.json").write_text("{}")
    code, output = run()
    assert (code, output[:20]) == (1, "Error: machine.json:")
