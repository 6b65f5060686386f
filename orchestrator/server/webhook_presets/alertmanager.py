"""Prometheus Alertmanager."""

from .preset import Example, Preset

PRESET = Preset(
    slug="alertmanager",
    name="Prometheus Alertmanager",
    description="Each alert of a group becomes `alert.firing` or `alert.resolved`; its labels are labels of the"
    " resource.",
    setup="""A receiver in `alertmanager.yml`:

```yaml
receivers:
  - name: tower
    webhook_configs:
      - url: ADDRESS
        send_resolved: true
        http_config: {authorization: {credentials: SECRET}}
```""",
    template="""\
[
{%- for alert in body.alerts -%}
{%- set at = alert.endsAt if alert.status == "resolved" else alert.startsAt -%}
{
  "id": "{{ alert.fingerprint }}/{{ alert.startsAt }}/{{ alert.status }}",
  "occurred": "{{ at|instant }}",
  "event": "alert.{{ alert.status|kebab }}",
  "resource": {
    {%- for name, value in alert.labels.items() if name is string and not name.startswith("resource.") %}
    "{{ name }}": "{{ value }}",
    {%- endfor %}
    "resource.id": "alert/{{ alert.labels.alertname|default("alert") }}/{{ alert.fingerprint }}",
    "resource.name": "{{ alert.labels.alertname|default("alert") }}",
    "resource.kind": "alert"
  },
  "payload": {
    "annotations": {{ alert.annotations|default({})|tojson }},
    "generator": "{{ alert.generatorURL|default("") }}",
    "receiver": "{{ body.receiver|default("") }}"
  }
}{{ "" if loop.last else "," }}
{%- endfor -%}
]
""",
    signature={"scheme": "token", "header": "Authorization", "prefix": "Bearer "},
    example=Example(
        {
            "version": "4",
            "groupKey": '{}:{alertname="DiskFull"}',
            "status": "firing",
            "receiver": "tower",
            "groupLabels": {"alertname": "DiskFull"},
            "commonLabels": {"alertname": "DiskFull", "severity": "critical"},
            "commonAnnotations": {},
            "externalURL": "http://alertmanager.example.com",
            "alerts": [
                {
                    "status": "firing",
                    "labels": {"alertname": "DiskFull", "instance": "db-1:9100", "severity": "critical"},
                    "annotations": {"summary": "Less than 5 % left on db-1"},
                    "startsAt": "2026-02-01T07:02:11.315Z",
                    "endsAt": "0001-01-01T00:00:00Z",
                    "generatorURL": "http://prometheus.example.com/graph",
                    "fingerprint": "c1f0e3a7b2d94856",
                },
                {
                    "status": "resolved",
                    "labels": {"alertname": "DiskFull", "instance": "db-2:9100", "severity": "critical"},
                    "annotations": {},
                    "startsAt": "2026-02-01T06:40:00.000Z",
                    "endsAt": "2026-02-01T07:01:00.000Z",
                    "generatorURL": "http://prometheus.example.com/graph",
                    "fingerprint": "9d3b1c77aa0e4f21",
                },
            ],
        }
    ),
)
