import json

from tests.local.aws import Aws


def test_a_tls_only_policy_allows_loopback(aws: Aws) -> None:
    """A bucket that denies anything but TLS takes an object over the loopback's plain http."""
    bucket = aws.name("bucket")
    aws.s3.create_bucket(Bucket=bucket)
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    aws.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    role = aws.role(("s3:PutObject", f"arn:aws:s3:::{bucket}/*"))
    source = """
        import boto3

        def handle(event, context):
            return boto3.client("s3").put_object(Bucket=event["bucket"], Key="k", Body=b"x")["ETag"]
    """

    assert isinstance(aws.invoke(aws.function(source, role=role), {"bucket": bucket}), str)
    assert aws.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
