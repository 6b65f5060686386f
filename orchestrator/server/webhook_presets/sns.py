"""Amazon SNS, and through it S3 and whatever else publishes to a topic."""

import json

from .preset import Example, Preset

_RECORDS = {
    "Records": [
        {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": "eu-central-1",
            "eventTime": "2026-02-01T04:00:12.000Z",
            "eventName": "ObjectCreated:Put",
            "s3": {
                "bucket": {"name": "sales-lake", "arn": "arn:aws:s3:::sales-lake"},
                "object": {"key": "raw/2026-01+final.csv", "size": 48213, "sequencer": "0A1B2C3D4E5F678901"},
            },
        }
    ]
}

PRESET = Preset(
    slug="sns",
    name="Amazon SNS and S3",
    description="Notifications of S3 become `s3.object.created` or `s3.object.deleted` of `s3://BUCKET/KEY`, one for"
    " each object; any other message becomes `sns.notification` of its topic. A subscription is confirmed by itself.",
    setup="Subscribe the address (protocol HTTPS, no raw message delivery) to the topic, and let the bucket notify the"
    " topic. Messages are checked by Amazon's certificate, so there is no secret. Addresses that a message names are"
    " visited at `sns.REGION.amazonaws.com` only.",
    template="""\
{%- set message = body.Message|default("")|fromjson -%}
{%- if body.Type == "Notification" and message is mapping and message.Records and message.Records[0].s3 -%}
[
{%- for record in message.Records if record.s3 -%}
{%- set key = record.s3.object.key|replace("+", " ")|unquote -%}
{%- set gone = "ObjectRemoved" in record.eventName or "LifecycleExpiration" in record.eventName -%}
{
  "id": "{{ body.MessageId }}/{{ loop.index }}",
  "occurred": "{{ record.eventTime|instant }}",
  "event": "s3.object.{{ "deleted" if gone else "created" }}",
  "resource": {
    "resource.id": "s3://{{ record.s3.bucket.name }}/{{ key }}",
    "resource.name": "{{ key }}",
    "resource.kind": "s3.object"
  },
  "related": [{"resource.id": "s3://{{ record.s3.bucket.name }}", "resource.role": "part-of"}],
  "payload": {
    "path": "{{ key }}",
    "size": {{ record.s3.object.size|default(none)|tojson }},
    "change": "{{ record.eventName }}",
    "region": "{{ record.awsRegion|default("") }}"
  }
}{{ "" if loop.last else "," }}
{%- endfor -%}
]
{%- elif body.Type == "Notification" and not (message is mapping and message.Event == "s3:TestEvent") -%}
{
  "id": "{{ body.MessageId }}",
  "occurred": "{{ body.Timestamp|instant }}",
  "event": "sns.notification",
  "resource": {
    "resource.id": "{{ body.TopicArn }}",
    "resource.name": "{{ body.TopicArn.split(":")[-1] }}",
    "resource.kind": "sns.topic"
  },
  "payload": {"subject": {{ body.Subject|default(none)|tojson }}, "message": {{ message|tojson }}}
}
{%- endif -%}
""",
    signature={"scheme": "sns", "header": "", "prefix": ""},
    example=Example(
        {
            "Type": "Notification",
            "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
            "TopicArn": "arn:aws:sns:eu-central-1:123456789012:lake",
            "Subject": "Amazon S3 Notification",
            "Message": json.dumps(_RECORDS),
            "Timestamp": "2026-02-01T04:00:13.104Z",
            "SignatureVersion": "2",
            "Signature": "...",
            "SigningCertURL": "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0000.pem",
        },
        {"X-Amz-Sns-Message-Type": "Notification"},
        "text/plain; charset=UTF-8",
    ),
)
