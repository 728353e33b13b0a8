from tests.local.aws import Aws


def test_tasks_put_and_get_objects(aws: Aws) -> None:
    """A machine writes an object and reads it back; a missing key is S3.NoSuchKeyException."""
    bucket = aws.name("bucket")
    aws.s3.create_bucket(Bucket=bucket)
    put = {"Bucket": bucket, "Key": "a/b.json", "Body": {"n": 1}}
    get = {"Bucket": bucket, "Key": "{% $states.context.Execution.Input.key %}"}
    states = {
        "Put": {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:s3:putObject", "Arguments": put, "Next": "Get"},
        "Get": {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:s3:getObject", "Arguments": get, "End": True,
                "Output": "{% $parse($states.result.Body) %}"},
    }  # fmt: skip
    machine = aws.machine(states)

    assert aws.run(machine, {"key": "a/b.json"})["output"] == {"n": 1}
    assert aws.run(machine, {"key": "absent"})["error"] == "S3.NoSuchKeyException"
