"""A program for the interpreter that has Great Expectations: runs one checkpoint, writes what came of it as JSON.

It is executed as a file, by another interpreter, and so imports nothing of this package:
``python run_checkpoint.py REQUEST ANSWER``. REQUEST is a JSON file ``{project, checkpoint, batch_parameters,
expectation_parameters, only_look}``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def main(request_path: str, answer_path: str) -> None:
    """Run the checkpoint that the request names."""
    request = json.loads(Path(request_path).read_text("utf-8"))
    answer = _run(request)
    Path(answer_path).write_text(json.dumps(answer, default=str), "utf-8")


def _run(request: dict[str, Any]) -> dict[str, Any]:
    try:
        import great_expectations as gx
    except ImportError as error:
        return {"error": f"this interpreter has no Great Expectations: pip install great_expectations ({error})"}
    try:
        context = gx.get_context(mode="file", project_root_dir=request["project"])
        names = sorted(checkpoint.name for checkpoint in context.checkpoints.all())
        if request["checkpoint"] not in names:
            return {"error": f"there is no checkpoint {request['checkpoint']}; there are: {', '.join(names) or 'none'}"}
        if request["only_look"]:
            return {"version": gx.__version__, "checkpoints": names}
        done = context.checkpoints.get(request["checkpoint"]).run(
            batch_parameters=request["batch_parameters"], expectation_parameters=request["expectation_parameters"]
        )
    except Exception as error:  # all that a project can get wrong
        return {"error": f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"}
    return {"checks": [_check(item, result) for result in done.run_results.values() for item in result.results]}


def _check(item: Any, result: Any) -> dict[str, Any]:
    facts = item.to_json_dict()
    config, raised = facts["expectation_config"], facts.get("exception_info") or {}
    wanted = {key: value for key, value in config["kwargs"].items() if key != "batch_id"}
    outcome = "passed" if facts["success"] else "failed"
    if outcome == "failed" and config.get("severity") in ("warning", "info"):
        outcome = "warned"
    shown = {key: value for key, value in wanted.items() if key != "column"}
    return {
        "name": config["type"] + (f" {wanted['column']}" if wanted.get("column") else ""),
        "outcome": outcome,
        "table": getattr(result, "asset_name", None),
        "column": wanted.get("column"),
        "arguments": shown,
        "unexpected": (facts.get("result") or {}).get("unexpected_count"),
        "message": raised.get("exception_message"),
    }


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
