"""Anything that can send JSON, a form or nothing at all."""

from .preset import Example, Preset

PRESET = Preset(
    slug="generic",
    name="Anything",
    description="A body that is an event already, or a list of events, is taken as it is; any other becomes the payload"
    " of an event `delivery.received` of the webhook.",
    setup="Send a POST or PUT with JSON or a form, or a GET, to the address. Change the template until the events say"
    " what you mean.",
    template="""\
{%- if body is mapping and body.event and body.resource -%}
{{ body|tojson }}
{%- elif body is sequence and body is not string and body and body[0] is mapping and body[0].event -%}
{{ body|tojson }}
{%- else -%}
{
  "event": "delivery.received",
  "resource": {"resource.id": "webhook/{{ webhook.name }}", "resource.name": "{{ webhook.name }}"},
  "payload": {"method": "{{ method }}", "query": {{ query|tojson }}, "body": {{ body|tojson }}}
}
{%- endif -%}
""",
    signature={"scheme": "hmac-sha256", "header": "X-Signature", "prefix": ""},
    example=Example({"order": 4711, "state": "shipped"}),
)
