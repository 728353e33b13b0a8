"""Download: fetch the vendor's results and write them to S3."""

import os

import boto3
import vendors

s3 = boto3.client("s3")


def handler(job, _context):
    """Return the keys that were written."""
    keys = []
    for name, body in vendors.download(job["vendor"], job).items():
        keys.append(f"results/{job['name']}/{name}")
        s3.put_object(Bucket=os.environ["BUCKET"], Key=keys[-1], Body=body)
    return {"keys": keys}
