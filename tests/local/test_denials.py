from tests.local.aws import ACCOUNT, LOGS, REGION, Aws
from tests.local.calls import CALLS


def test_a_denial_names_action_and_resource(aws: Aws) -> None:
    """A denial names action and resource; for S3 in quotes, as AWS does."""
    function = aws.function(CALLS, role=aws.role(*LOGS))
    queue = aws.sqs.create_queue(QueueName=aws.name("queue"))["QueueUrl"]
    name = queue.rpartition("/")[2]

    sent = {"service": "sqs", "call": "send_message", "given": {"QueueUrl": queue, "MessageBody": "x"}}
    answer = aws.invoke(function, sent)["errorMessage"]
    assert f"sqs:SendMessage on resource: arn:aws:sqs:{REGION}:{ACCOUNT}:{name} because no identity-based" in answer

    bucket = aws.name("bucket")
    aws.s3.create_bucket(Bucket=bucket)
    put = {"service": "s3", "call": "put_object", "given": {"Bucket": bucket, "Key": "a/b", "Body": ""}}
    answer = aws.invoke(function, put)["errorMessage"]
    assert f's3:PutObject on resource: "arn:aws:s3:::{bucket}/a/b" because no identity-based' in answer
