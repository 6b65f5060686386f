"""Great Expectations: results of a checkpoint."""

from .preset import Example, Preset

PRESET = Preset(
    slug="great-expectations",
    name="Great Expectations",
    description="Each suite that was validated becomes `quality.passed` or `quality.failed` of its data asset, with the"
    " expectations that were not met.",
    setup="""An action of the checkpoint:

```python
import great_expectations as gx

checkpoint.actions.append(gx.checkpoint.actions.APINotificationAction(name="tower", url="ADDRESS"))
```""",
    template="""\
{%- set results = body if body is sequence and body is not string and body is not mapping else [body] -%}
[
{%- for suite in results -%}
{%- set checks = suite.validation_results|default([]) -%}
{%- set failed = checks|rejectattr("success")|list -%}
{
  "event": "quality.{{ "failed" if failed else "passed" }}",
  "resource": {
    "resource.id": "{{ suite.data_asset_name }}",
    "resource.name": "{{ suite.data_asset_name }}",
    "suite": "{{ suite.test_suite_name|default("") }}",
    "tool": "great-expectations"
  },
  "payload": {
    "suite": "{{ suite.test_suite_name|default("") }}",
    "checked": {{ checks|length }},
    "failed": [
      {%- for check in failed -%}
      {%- set rule = check.expectation_config -%}
      {"expectation": {{ (rule.type or rule.expectation_type or "")|tojson }},
       "arguments": {{ rule.kwargs|default({})|tojson }}, "result": {{ check.result|default({})|tojson }}}
      {{- "" if loop.last else "," }}
      {%- endfor -%}
    ]
  }
}{{ "" if loop.last else "," }}
{%- endfor -%}
]
""",
    signature={"scheme": "token", "header": "Authorization", "prefix": "Bearer "},
    example=Example(
        [
            {
                "test_suite_name": "orders_suite",
                "data_asset_name": "orders",
                "validation_results": [
                    {
                        "success": False,
                        "expectation_config": {
                            "type": "expect_column_values_to_not_be_null",
                            "kwargs": {"column": "customer_id", "batch_id": "warehouse-orders"},
                        },
                        "result": {"element_count": 1200, "unexpected_count": 3, "unexpected_percent": 0.25},
                    },
                    {
                        "success": True,
                        "expectation_config": {
                            "type": "expect_table_row_count_to_be_between",
                            "kwargs": {"min_value": 1, "batch_id": "warehouse-orders"},
                        },
                        "result": {"observed_value": 1200},
                    },
                ],
            }
        ]
    ),
)
