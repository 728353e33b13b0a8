import time

from tests.local.aws import Aws


def test_a_failing_custom_resource_fails_the_stack_at_once(aws: Aws) -> None:
    """A function that raises instead of answering does not hold the deployment up for an hour."""
    function = aws.function("def handle(event, context): raise RuntimeError('broken')")

    started = time.monotonic()
    stack = aws.stack({"Own": {"Type": "Custom::Own", "Properties": {"ServiceToken": function}}})

    assert stack["StackStatus"] in ("CREATE_FAILED", "ROLLBACK_COMPLETE")
    assert time.monotonic() - started < 10


def test_a_bucket_that_is_emptied_on_deletion_needs_no_function(aws: Aws) -> None:
    """CDK's resource that empties a bucket is created without its Node function."""
    resource = {"Type": "Custom::S3AutoDeleteObjects", "Properties": {"ServiceToken": "arn:aws:lambda:::absent"}}

    assert aws.stack({"Empty": resource})["StackStatus"] == "CREATE_COMPLETE"
