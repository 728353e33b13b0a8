from tests.local.aws import COMPILED_LAYER, Aws

USES = "import shared\ndef handle(event, context): return [shared.WORD, shared.__file__]"


def test_a_layer_is_unpacked_once_for_all_functions(aws: Aws) -> None:
    """Two functions with the same layers import from one place, and the later of two layers comes first."""
    layers = [_layer(aws, "earlier"), _layer(aws, "later")]
    functions = [aws.function(USES) for _ in range(2)]
    for function in functions:
        aws.lambda_.update_function_configuration(FunctionName=function, Layers=layers)

    (word, first), (_, second) = [aws.invoke(function) for function in functions]

    assert word == "later"
    assert first == second


def test_a_precompiled_layer_is_used_in_place(aws: Aws) -> None:
    """A layer with exactly the files of the compiled one is not unpacked at all."""
    function = aws.function(USES)
    aws.lambda_.update_function_configuration(FunctionName=function, Layers=[_layer(aws, "compiled")])

    word, file = aws.invoke(function)

    assert word == "compiled"
    assert f"/{COMPILED_LAYER}/python/" in file


def _layer(aws: Aws, word: str) -> str:
    return aws.layer({"python/shared.py": f"WORD = {word!r}"})
