"""Soda Cloud: checks and incidents."""

from .preset import Example, Preset

PRESET = Preset(
    slug="soda",
    name="Soda Cloud",
    description="Each check becomes `quality.passed`, `quality.failed` or `quality.error` of its dataset; incidents"
    " become `soda.incident-created` and `soda.incident-updated`.",
    setup="*Organization settings* → *Integrations* → *Webhook*: the address as *URL*, and a header `Authorization`"
    " with the value `Bearer SECRET`.",
    template="""\
{%- set outcomes = {"pass": "passed", "fail": "failed", "warn": "warned"} -%}
{%- if body.checkResults -%}
[
{%- for check in body.checkResults -%}
{%- set dataset = (check.datasets or [{}])[0] -%}
{
  "id": "{{ check.id }}/{{ check.dataTimestamp|default("") }}/{{ check.outcome }}",
  "occurred": "{{ check.dataTimestamp|default("")|instant }}",
  "event": "quality.{{ outcomes.get(check.outcome, check.outcome|kebab) }}",
  "resource": {
    "resource.id": "{{ dataset.name or check.id }}",
    "resource.name": "{{ dataset.label or dataset.name or check.id }}",
    "source": "{{ dataset.datasource.name|default("") }}",
    "column": "{{ check.column or "" }}",
    "tool": "soda"
  },
  "payload": {
    "check": {{ check.definition|default(none)|tojson }},
    "diagnostics": {{ check.diagnostics|default(none)|tojson }},
    "url": "{{ check.sodaCloudUrl|default("") }}"
  }
}{{ "" if loop.last else "," }}
{%- endfor -%}
]
{%- elif body.event -%}
{
  "event": "soda.{{ body.event|replace("Created", "-created")|replace("Updated", "-updated")|kebab }}",
  "resource": {
    "resource.id": "soda/{% if body.incident %}incident/{{ body.incident.id }}{% else %}{{ body.event }}{% endif %}",
    "resource.name": "{{ body.incident.title or body.event }}"
  },
  "payload": {{ body|tojson }}
}
{%- endif -%}
""",
    signature={"scheme": "token", "header": "Authorization", "prefix": "Bearer "},
    example=Example(
        {
            "event": "checkEvaluation",
            "checkResults": [
                {
                    "id": "39d706c4-1e0f-4b02-9a2b-2c2ad1a3d6ff",
                    "sodaCloudUrl": "https://cloud.soda.io/checks/39d706c4-1e0f-4b02-9a2b-2c2ad1a3d6ff",
                    "definition": "checks for orders:\n  - missing_count(customer_id) = 0",
                    "datasets": [
                        {
                            "id": "d9b2a7a0-3f2b-4d51-8b1f-6f1f7e0c6f11",
                            "name": "orders",
                            "label": "Orders",
                            "datasource": {"id": "4a1c", "name": "warehouse"},
                        }
                    ],
                    "column": "customer_id",
                    "outcome": "fail",
                    "dataTimestamp": "2026-02-01T05:40:15Z",
                    "diagnostics": {"value": 3},
                }
            ],
        }
    ),
)
