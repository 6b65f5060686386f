"""GitHub: repositories and organisations."""

from .preset import Example, Preset

PRESET = Preset(
    slug="github",
    name="GitHub",
    description="Each delivery becomes one event of the repository (or the organisation): `github.push`,"
    " `github.pull-request.opened`, `github.workflow-run.completed`. The ping at the start is ignored.",
    setup="Repository (or organisation) → *Settings* → *Webhooks* → *Add webhook*: the address as *Payload URL*,"
    " `application/json` as *Content type*, and the same *Secret* as here.",
    template="""\
{%- set kind = headers["X-GitHub-Event"] -%}
{%- set about = body.repository or body.organization or body.installation -%}
{%- if kind != "ping" -%}
{
  "id": "{{ headers["X-GitHub-Delivery"] }}",
  "event": "github.{{ kind|replace("_", "-") }}{% if body.action %}.{{ body.action|replace("_", "-") }}{% endif %}",
  "resource": {
    "resource.id": "https://github.com/{{ about.full_name or about.login or about.id }}",
    "resource.name": "{{ about.full_name or about.login or about.id }}",
    "resource.kind": "github.{{ "repository" if body.repository else "organization" }}"
    {%- if body.ref %}, "ref": "{{ body.ref }}"{% endif %}
    {%- if body.workflow_run %}, "conclusion": "{{ body.workflow_run.conclusion or "" }}"{% endif %}
  },
  "related": [
    {%- if body.sender -%}
    {"resource.id": "https://github.com/{{ body.sender.login }}", "resource.name": "{{ body.sender.login }}",
     "resource.role": "sender"}
    {%- endif -%}
  ],
  "payload": {{ body|tojson }}
}
{%- endif -%}
""",
    signature={"scheme": "hmac-sha256", "header": "X-Hub-Signature-256", "prefix": "sha256="},
    example=Example(
        {
            "ref": "refs/heads/main",
            "before": "6113728f27ae82c7b1a177c8d03f9e96e0adf246",
            "after": "0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c",
            "repository": {
                "id": 186853002,
                "name": "warehouse",
                "full_name": "acme/warehouse",
                "default_branch": "main",
            },
            "sender": {"login": "octavia", "id": 21031067},
            "commits": [{"id": "0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c", "message": 'Count "returns" once'}],
        },
        {"X-GitHub-Event": "push", "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958"},
    ),
)
