import os
import signal

from tests.local.aws import Aws

SOURCE = """
    import os, sys

    at_start = sorted({"boto3", "json", "handler_of_others"} & set(sys.modules))
    sys.modules["handler_of_others"] = sys
    from botocore.session import create_loader
    calls = []

    def handle(event, context):
        calls.append(event)
        return {
            "packages": at_start,
            "calls": calls,
            "reads_anew": "load_service_model" not in {name for name, *_ in create_loader()._cache},
            "parent": os.getppid(),
            "pid": os.getpid(),
            "folder": os.getcwd() == os.environ["LAMBDA_TASK_ROOT"],
            "own": os.environ.get("OWN"),
            "size": os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"],
        }
    """


def test_an_environment_starts_with_the_packages_and_with_nothing_of_another(aws: Aws) -> None:
    """Two functions have the same template, and share no module state, variables or folder."""
    first = aws.invoke(aws.function(SOURCE, variables={"OWN": "first"}), 1)
    second = aws.invoke(aws.function(SOURCE), 2)
    assert first["packages"] == second["packages"] == ["boto3", "json"]
    assert (first["calls"], second["calls"]) == ([1], [2])
    assert not first["reads_anew"] and not second["reads_anew"]
    assert (first["own"], second["own"]) == ("first", None)
    assert first["folder"] and second["folder"]
    assert first["parent"] == second["parent"] and first["pid"] != second["pid"]


def test_a_template_that_ended_is_replaced(aws: Aws) -> None:
    """Its environments continue, and a new one has another parent."""
    old = aws.function(SOURCE)
    before = aws.invoke(old, 1)
    os.kill(before["parent"], signal.SIGKILL)
    assert aws.invoke(old, 2)["pid"] == before["pid"]
    after = aws.invoke(aws.function(SOURCE), 3)
    assert after["parent"] != before["parent"] and after["packages"] == ["boto3", "json"]
