"""dbt Cloud: runs of its jobs."""

from .preset import Example, Preset

PRESET = Preset(
    slug="dbt-cloud",
    name="dbt Cloud",
    description="A run of a job becomes `dbt-cloud.job.started`, `.succeeded`, `.failed` or `.cancelled` of the job.",
    setup="*Account settings* → *Webhooks* → *Create webhook*: the address as *Endpoint*, the events *Run started* and"
    " *Run completed*. dbt Cloud shows a secret: enter it here.",
    template="""\
{%- set run = body.data -%}
{%- set outcome = {10: "succeeded", 20: "failed", 30: "cancelled"} -%}
{%- set ended = outcome.get(run.runStatusCode|int, body.eventType.split(".")[-1]) -%}
{%- set verb = "started" if body.eventType == "job.run.started" else ended -%}
{%- if body.eventType != "job.run.errored" -%}
{
  "id": "{{ body.eventId }}",
  "occurred": "{{ body.timestamp|instant }}",
  "event": "dbt-cloud.job.{{ verb }}",
  "resource": {
    "resource.id": "dbt-cloud/{{ body.accountId }}/job/{{ run.jobId }}",
    "resource.name": "{{ run.jobName }}",
    "resource.kind": "dbt-cloud.job",
    "environment": "{{ run.environmentName|default("") }}",
    "project": "{{ run.projectName|default("") }}"
  },
  "payload": {{ run|tojson }}
}
{%- endif -%}
""",
    signature={"scheme": "hmac-sha256", "header": "Authorization", "prefix": ""},
    example=Example(
        {
            "accountId": 1,
            "webhookId": "wsu_12345abcde",
            "eventId": "wev_2L6Z3l8uPedXKPq9D2nWbPIip7Z",
            "timestamp": "2026-01-31T19:28:15.742843678Z",
            "eventType": "job.run.completed",
            "webhookName": "tower",
            "data": {
                "jobId": "123",
                "jobName": "Daily job (dbt build)",
                "runId": "12345",
                "environmentId": "1234",
                "environmentName": "Production",
                "dbtVersion": "1.10.0",
                "projectName": "Warehouse",
                "projectId": "167194",
                "runStatus": "Errored",
                "runStatusCode": 20,
                "runStatusMessage": "None",
                "runReason": "Scheduled",
                "runStartedAt": "2026-01-31T19:20:07Z",
                "runFinishedAt": "2026-01-31T19:28:14Z",
            },
        }
    ),
)
