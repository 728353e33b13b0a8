import pytest

from tests.local.aws import LOGS, Aws

READS = """
    import boto3

    def handle(event, context):
        s3 = boto3.client("s3")
        return getattr(s3, event["call"])(Bucket=event["bucket"], Key=event["key"])["ContentLength"]
"""


@pytest.mark.parametrize(("call", "absent"), [("get_object", "NoSuchKey"), ("head_object", "404")])
def test_a_missing_object_looks_forbidden_without_list_permission(aws: Aws, call: str, absent: str) -> None:
    """A missing object is a 403 for a role that only reads objects, and a 404 for one that also lists the bucket."""
    bucket = aws.name("bucket")
    aws.s3.create_bucket(Bucket=bucket)
    aws.s3.put_object(Bucket=bucket, Key="here", Body=b"abc")
    read, listed = ("s3:GetObject", f"arn:aws:s3:::{bucket}/*"), ("s3:ListBucket", f"arn:aws:s3:::{bucket}")
    reader = aws.function(READS, role=aws.role(*LOGS, read))
    lister = aws.function(READS, role=aws.role(*LOGS, read, listed))
    gone, here = ({"call": call, "bucket": bucket, "key": key} for key in ("gone", "here"))

    assert aws.invoke(reader, here) == aws.invoke(lister, here) == 3
    assert absent in aws.invoke(lister, gone)["errorMessage"]
    denied = aws.invoke(reader, gone)["errorMessage"]
    assert "403" in denied or f's3:ListBucket on resource: "arn:aws:s3:::{bucket}"' in denied
