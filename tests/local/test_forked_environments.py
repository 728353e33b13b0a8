import os
import signal
from pathlib import Path
from typing import Any

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


def of_shared_layer(aws: Aws, number: int, **variables: str) -> Any:
    """Return what a function finds that has a layer with Dossier's package."""
    source = """
        import os, sys
        at_start = sorted(name for name in sys.modules if name.startswith("dossier"))
        from dossier import observe
        def handle(event, context): return {"modules": at_start, "own": observe.OWN, "parent": os.getppid()}
        """
    files = {
        "python/dossier/__init__.py": "",
        "python/dossier/steps.py": f"NUMBER = {number}",
        "python/dossier/observe.py": "import os; OWN = os.environ.get('OWN')",
    }
    function = aws.function(source, variables=variables)
    aws.lambda_.update_function_configuration(FunctionName=function, Layers=[aws.layer(files)])
    return aws.invoke(function)


def test_modules_of_the_shared_layer_are_imported_before(aws: Aws) -> None:
    """But for what reads a function's variables: two functions have the same template, and their own values."""
    first, second = of_shared_layer(aws, 1, OWN="first"), of_shared_layer(aws, 1)
    assert first["modules"] == second["modules"] == ["dossier", "dossier.steps"]
    assert first["parent"] == second["parent"]
    assert (first["own"], second["own"]) == ("first", None)


def test_a_template_of_layers_that_were_replaced_ends(aws: Aws) -> None:
    """Each deployment of other sources has another template: four are kept."""
    parents = [of_shared_layer(aws, number)["parent"] for number in range(2, 7)]
    assert len(set(parents)) == 5
    assert [Path("/proc", str(each)).exists() for each in parents] == [False, True, True, True, True]
