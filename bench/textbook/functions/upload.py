"""Upload: read the document from S3 and send it to the vendor."""

import os

import boto3
import vendors

s3 = boto3.client("s3")


def handler(job, _context):
    """Return the job with the vendor's ids."""
    body = s3.get_object(Bucket=os.environ["BUCKET"], Key=job["key"])["Body"].read()
    return {**job, "done": False, **vendors.upload(job["vendor"], job["name"], body)}
