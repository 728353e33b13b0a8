"""Check DocuStack's signature as its guide shows, and send the body to a queue."""

import base64
import hashlib
import hmac
import os

import boto3

sqs = boto3.client("sqs")
SECRET = os.environ["WEBHOOK_SECRET"]


def handler(event, _context):
    """Answer a delivery."""
    body = event.get("body") or ""
    raw = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
    expected = hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, event["headers"].get("x-docustack-signature", "")):
        return {"statusCode": 401, "body": ""}
    sqs.send_message(QueueUrl=os.environ["QUEUE_URL"], MessageBody=raw.decode())
    return {"statusCode": 200, "body": ""}
