"""Apache Airflow: by a callback in its DAGs."""

from .preset import Example, Preset

PRESET = Preset(
    slug="airflow",
    name="Apache Airflow",
    description="A callback becomes `airflow.task.success`, `airflow.task.failed`, `airflow.dag.failed`, and so on, of"
    " the task or the DAG.",
    setup="""Airflow calls nobody by itself. Give your DAGs (or `default_args`) a callback that does:

```python
import requests

def tell(context):
    task = context.get("task_instance")
    requests.post(
        "ADDRESS",
        headers={"Authorization": "Bearer SECRET"},
        json={
            "dag_id": context["dag"].dag_id,
            "run_id": context["run_id"],
            "task_id": task.task_id if task else None,
            "try_number": task.try_number if task else None,
            "state": "failed" if context.get("exception") else "success",
            "error": str(context.get("exception") or ""),
            "log_url": task.log_url if task else None,
        },
        timeout=10,
    )

dag = DAG(..., default_args={"on_failure_callback": tell, "on_success_callback": tell})
```""",
    template="""\
{
  "event": "airflow.{{ "task" if body.task_id else "dag" }}.{{ body.state|kebab }}",
  {%- if body.occurred %}"occurred": "{{ body.occurred|instant }}",{% endif %}
  "resource": {
    "resource.id": "airflow/{{ body.dag_id }}{% if body.task_id %}/{{ body.task_id }}{% endif %}",
    "resource.name": "{{ body.task_id or body.dag_id }}",
    "resource.kind": "airflow.{{ "task" if body.task_id else "dag" }}"
  },
  "related": [
    {%- if body.task_id -%}
    {"resource.id": "airflow/{{ body.dag_id }}", "resource.name": "{{ body.dag_id }}", "resource.role": "part-of"}
    {%- endif -%}
  ],
  "payload": {{ body|tojson }}
}
""",
    signature={"scheme": "token", "header": "Authorization", "prefix": "Bearer "},
    example=Example(
        {
            "dag_id": "load_orders",
            "run_id": "scheduled__2026-02-01T00:00:00+00:00",
            "task_id": "copy_into",
            "try_number": 2,
            "state": "failed",
            "error": "ProgrammingError: table ORDERS does not exist",
            "log_url": "https://airflow.example.com/dags/load_orders/grid",
        }
    ),
)
