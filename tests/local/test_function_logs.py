import pytest

from tests.local.aws import LOGS, Aws


@pytest.mark.parametrize("missing", [None, "logs:CreateLogStream", "logs:PutLogEvents"])
def test_a_log_is_written_as_the_functions_role(aws: Aws, missing: str | None) -> None:
    """A function answers in any case, and writes a log only if its role allows that."""
    role = aws.role(*(grant for grant in LOGS if grant[0] != missing))
    function = aws.function("def handle(event, context): print('said'); return 'answered'", role=role)
    group = f"/aws/lambda/{function.rpartition(':')[2]}"
    aws.logs.create_log_group(logGroupName=group)

    assert aws.invoke(function) == "answered"
    found = aws.logs.filter_log_events(logGroupName=group, filterPattern="said")["events"]
    assert bool(found) == (missing is None)
