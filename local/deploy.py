"""Deploy the app to the local AWS with the real CDK: ``cdk bootstrap`` once, then ``cdk deploy``."""

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.outputs import Outputs
from local.home import ROOT, LocalError
from local.processes import kill_group

ACCOUNT = "000000000000"
REGION = "us-east-1"
ACCESS_KEY, SECRET_KEY = "test", "test"
"""The credentials of the local AWS's account; it rejects others."""
_SECONDS = 600
_LINES = 12
# Never use the user's own AWS set-up.
_FOREIGN = re.compile(r"^(AWS_|CDK_)")
_QUIET = {
    "CI": "1",
    "CDK_DISABLE_CLI_TELEMETRY": "true",
    "CDK_DISABLE_VERSION_CHECK": "1",
    # The template's schema is checked in make check; here it would take half of the synthesis.
    "CDK_VALIDATION": "false",
    "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
    "NO_COLOR": "1",
    # Compiled files beside the functions' sources would change what is deployed.
    "PYTHONDONTWRITEBYTECODE": "1",
}
# Lines of CDK's output that do not explain a failure.
_NOISE = re.compile(
    r"^\s*(at |\(node:|\[Warning|\[Info|\[\d+%\]|✨|NOTICES|Bundling|Building)|(UPDATE|CREATE)_(COMPLETE|IN_PROGRESS)"
)


def aws_environment(endpoint_url: str) -> dict[str, str]:
    """Return the variables that point any AWS client at the local AWS, and away from the user's own set-up."""
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@dataclass(frozen=True, slots=True)
class Deployment:
    """Deploys one app to the local AWS.

    Attributes:
        endpoint_url: the local AWS.
        folder: gets CDK's assembly, log and outputs.
        context: the app's context (``-c name=value``).
        app: the folder of ``cdk.json``.

    """

    endpoint_url: str
    folder: Path
    context: Mapping[str, str]
    app: Path = ROOT

    def bootstrap(self) -> None:
        """Create the bucket and the roles that CDK deploys with.

        Raises:
            LocalError: with the end of CDK's output.

        """
        # In an empty folder: CDK would synthesize an app first, for nothing.
        empty = self.folder / "bootstrap"
        empty.mkdir(parents=True, exist_ok=True)
        self._cdk("bootstrap", f"aws://{ACCOUNT}/{REGION}", folder=empty, doing="cdk bootstrap")

    def deploy(self, stack: str) -> dict[str, str]:
        """Deploy a stack and return its outputs by name.

        Raises:
            LocalError: with the end of CDK's output.

        """
        outputs = self.folder / "outputs.json"
        outputs.unlink(missing_ok=True)
        options = ("--require-approval", "never", "--method", "direct", "--outputs-file", str(outputs))
        context = [part for name, value in self.context.items() for part in ("-c", f"{name}={value}")]
        output = ("--output", str(self.folder / "cdk.out"))
        self._cdk("deploy", stack, *options, *output, *context, folder=self.app, doing="cdk deploy")
        try:
            found: dict[str, dict[str, str]] = json.loads(outputs.read_text(encoding="utf-8"))
        except FileNotFoundError:
            found = {}
        return found.get(stack, {})

    def _cdk(self, verb: str, *arguments: str, folder: Path, doing: str) -> None:
        log = self.folder / f"{verb}.log"
        tools = ROOT / ".venv" / "bin"
        entry = ROOT / "node_modules" / "aws-cdk" / "bin" / "cdk"
        for needed in (tools / "node", entry):
            if not needed.exists():
                raise LocalError(f"{needed.relative_to(ROOT)} is missing; run: make setup")
        command = [str(tools / "node"), str(entry), verb, *arguments, "--no-notices", "--progress", "events"]
        with log.open("w", encoding="utf-8") as output:
            # In its own session, so that Node processes of the app that outlive the CDK CLI can be ended with it.
            done = subprocess.Popen(
                command,
                cwd=folder,
                env=self._environment(tools),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                done.wait(_SECONDS)
            except subprocess.TimeoutExpired:
                raise LocalError(f"{doing} did not end within {_SECONDS} s{_excerpt(log)}") from None
            finally:
                kill_group(done.pid)
                done.wait()
        if done.returncode:
            raise LocalError(f"{doing} failed{_excerpt(log)}")

    def _environment(self, tools: Path) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not _FOREIGN.match(name)}
        own["PATH"] = os.pathsep.join((str(tools), own.get("PATH", os.defpath)))
        own["CDK_DEFAULT_ACCOUNT"], own["CDK_DEFAULT_REGION"] = ACCOUNT, REGION
        return {**own, **aws_environment(self.endpoint_url), **_QUIET}


def read_outputs(found: Mapping[str, str], *, endpoint_url: str, stage: str) -> Outputs:
    """Convert a stack's outputs for the local deployment.

    Not every client resolves the host name of an API; the local AWS serves the same API under its own address.

    Raises:
        LocalError: if the stack lacks an output.

    """
    try:
        api_url = f"{endpoint_url}/_aws/execute-api/{found['ApiId']}/$default"
        return Outputs.of_stack(found, api_url=api_url, stage=stage, region=REGION, endpoint_url=endpoint_url)
    except KeyError as missing:
        raise LocalError(f"the stack has no output {missing}") from None


def _excerpt(log: Path) -> str:
    """Return the lines of CDK's output from the first failure on, or the last ones."""
    lines = [line.rstrip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    kept: Sequence[str] = [line for line in lines if line.strip() and not _NOISE.search(line)]
    failed = [number for number, line in enumerate(kept) if re.search(r"FAILED|❌|[Ee]rror", line)]
    first = max(0, min(failed[0], len(kept) - _LINES)) if failed else 0
    shown = kept[first:][:_LINES] if failed else kept[-_LINES:]
    return "".join(f"\n  {line[:300]}" for line in shown) + f"\n  (full log: {log})"
