"""Monte Carlo: alerts about data."""

from .preset import Example, Preset

PRESET = Preset(
    slug="monte-carlo",
    name="Monte Carlo",
    description="An alert becomes an event named by its type, such as"
    " `monte-carlo.open-custom-rule-anomaly-incident`, of the incident; the tables that it names are related to it.",
    setup="*Settings* → *Notifications* → a webhook with the address and, if you like, a secret: the same as here.",
    template="""\
{%- set told = body.payload -%}
{%- set id = told.incident_id or told.alert_id or told.group_id or body.type -%}
{
  "event": "monte-carlo.{{ body.type|kebab }}",
  "resource": {
    "resource.id": "monte-carlo/incident/{{ id }}",
    "resource.name": "{{ body.type|replace("_", " ") }}",
    "resource.kind": "monte-carlo.incident"
  },
  "related": [
    {%- set tables = told.event_list|default([])|map(attribute="table_name")|select("string")|unique|list -%}
    {%- for table in tables -%}
    {"resource.id": "{{ table }}", "resource.name": "{{ table }}", "resource.role": "table"}
    {{- "" if loop.last else "," }}
    {%- endfor -%}
  ],
  "payload": {{ told|tojson }}
}
""",
    signature={"scheme": "monte-carlo", "header": "x-mcd-signature", "prefix": ""},
    example=Example(
        {
            "version": "v0.1",
            "type": "open_custom_rule_anomaly_incident",
            "action": "incident",
            "account": {"id": "9a59c6f1-203a-4c72-8cd7-132db7f21b92"},
            "payload": {
                "incident_id": "f83867b6-8f25-428b-807c-08518f63384c",
                "group_id": None,
                "url": "https://getmontecarlo.com/incidents/f83867b6-8f25-428b-807c-08518f63384c",
                "event_list": [
                    {
                        "table_name": "analytics:prod.orders",
                        "rule": {"rule_type": "custom_sql", "description": "orders without a customer"},
                        "data": {"hits": [{"field": None, "value": "50.0", "value_rounded": "50"}]},
                    }
                ],
            },
        }
    ),
)
