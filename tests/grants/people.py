"""What people do with the ``dossier`` command, played with their own keys, policies of ``policies/`` attached.

The commands find the stage as they do in the cloud (``--stage``): by CloudFormation, with the keys of the environment.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import httpx

from cli.batch import ACTIONS
from dossier.models import now
from local.deploy import aws_environment
from local.sandbox import accounts
from tests import commands
from tests.e2e.world import until
from tests.grants.bench import Bench, CaseBrokenError, Trial
from tests.grants.roles import Grant, Person
from tests.grants.stage import PDF, Stage, pk_of
from tests.machine import ROOT
from tests.servers import answer, saying, serving

NEW_SECRET = "a-secret-that-is-new-and-long-enough"
CHANGES = Path("/proc/uptime")
"""A file that is another one each time it is read."""
QUIET = {("s3:GetObject", "webhooks-seen")}
"""What a command does without: a delivery counts as one that did not come before (docs/security.md)."""
LEFT_BEHIND = "what the doctor sent is left behind"
"""The doctor does without the right to delete its probe."""


GROUPS = {"secrets"}
"""Commands that have their own commands."""


class People(Stage):
    """Plays commands on a bench, as somebody with their own keys."""

    def __init__(self, bench: Bench, person: Person, folder: Path, *, unasked: Callable[[Grant], bool]) -> None:
        super().__init__(bench)
        self._folder = folder
        self.played: set[str] = set()
        self.missed: set[Grant] = set()
        self.person = person
        self._trial = Trial(person.name, person, bench.denials, self.missed, unasked, self._heard)
        self._environment = as_in_the_cloud(bench, person.keys)
        self.finished = self._whole_case()

    # What a user does

    def submits(self) -> None:
        """List, follow and fetch; submit files, one that changes meanwhile, and an object.

        The quickest commands first: they miss what all others need as well.
        """
        self._prove(self._shows_the_addresses)
        self._prove(lambda: self.run("policy", "user"))
        self._prove(self._shows_the_example)
        self._prove(lambda: self.run("list"))
        self._prove(lambda: self.run("export"))
        self._prove(lambda: self.run("export", "--format", "tables"))
        self._prove(lambda: self.run("status", self.finished))
        self._prove(lambda: self._fetches(self.finished))
        self._prove(lambda: self.run("submit", "claims", self._file()))
        self._prove(self._submits_what_changes)
        uploaded = self.submission("claims", folder="uploads")["documents"][0]["uri"]
        self._prove(lambda: self.run("submit", "claims", uploaded))
        self.run("submit", "claims", self._file(), "--wait")
        self._prove(self._runs_a_batch)

    def _runs_a_batch(self) -> None:
        """Start a batch whose case waits for its vendor, change how many run at once, and stop it."""
        file = Path(self._file())
        lines = file.with_suffix(".jsonl")
        lines.write_text(json.dumps({"connection": "claims", "reference": file.stem, "documents": [file.name]}))
        self._sandbox("settings", seconds=3600)
        try:
            found = self.run("batch", str(lines))
            arn, step_functions = found["execution_arn"], self._bench.client("stepfunctions")
            until(lambda: step_functions.list_map_runs(executionArn=arn)["mapRuns"], 60, "the batch does not begin")
            self.run("batch", "status", found["batch_id"], "--concurrency", "2")
            self.run("batch", "stop", found["batch_id"])
            self.run("batch", "resume", found["batch_id"])
        finally:
            self._sandbox("settings", seconds=0)

    def _shows_the_addresses(self) -> None:
        """Print the outputs, which do without the paused connections if the table cannot be read."""
        if self.run("outputs")["paused"] is None:
            raise CaseBrokenError("the paused connections are unknown: a permission is missing: dynamodb:Query")

    def _shows_the_example(self) -> None:
        """Have the example's document put, which is there after the first time."""
        self._bench.client("s3").delete_object(Bucket=self._outputs["bucket"], Key="uploads/dossier-example.pdf")
        self.run("example", "claims")

    def _submits_what_changes(self) -> None:
        """Submit a file that is another one when it is uploaded; where the settings are not known, any type goes."""
        known = self._environment
        self._environment = {**known, "DOSSIER_CONNECTIONS": str(self._folder / "not-here.toml")}
        try:
            self.run("submit", "claims", str(CHANGES), says="changed while it was submitted")
        finally:
            self._environment = known

    def _fetches(self, reference: str) -> None:
        for more in ((), ("--documents",), ("--revision", "1")):
            self.run("fetch", reference, str(self._folder / f"results-{next(self._numbers)}"), *more)

    # What an operator does besides

    def operates(self) -> None:
        """Ask vendors, collect, refresh, apply deliveries, answer, cancel, send back, pause, drain, look."""
        self._prove(lambda: self.run("vendor", "claims", "cases"))
        self._prove(lambda: self.run("invoice", "claims", "--month", f"{now():%Y-%m}"))
        self._prove(self._counts_costs)
        self._prove(lambda: self.run("drift", "claims"))
        self._prove(lambda: self.run("collect", "claims", f"unknown-{next(self._numbers)}"))
        self._prove(lambda: self.run("refresh", self.finished))
        self._prove(self._replays)
        self._prove(self._looks)
        self._prove(self._asks_why)
        self._prove(self._pauses)
        self._prove(self._sets_a_secret)
        self._prove(self._makes_a_secret)
        self._prove(self._sends_back_messages)
        self._prove(lambda: self._dead_letters("--dismiss"))
        self._prove(lambda: self.run("resolve", self.in_doubt(), "--retry"))
        self._prove(self._names_the_vendors_case)
        self._prove(lambda: self.run("resolve", self.in_doubt(), "--give-up"))
        self._prove(self._sends_back_a_case)
        self._prove(self._dismisses_a_case)
        self._prove(self._cancels)
        self._prove(self._forgets)
        self._prove(self._opens_the_console)
        self._prove(self._drains)

    def _opens_the_console(self) -> None:
        """Open the console, look at its pages, and collect a case again from one: that is recorded first."""
        self.played.add("console")
        words = ["console", "--no-open", "--stage", "dev", "--json"]
        with commands.running(words, environment=self._environment, folder=ROOT) as done:
            if done.code:
                raise CaseBrokenError(f"{done.stderr}\n{done.stdout}")
            with httpx.Client(timeout=60, follow_redirects=True, trust_env=False) as http:
                url = json.loads(done.stdout.splitlines()[0])["url"]
                self._seen(http.get(url))
                origin = url.partition("/?")[0]
                case = f"{origin}/cases/claims/{self.finished}"
                self._seen(http.get(f"{origin}/cases/views"))
                shown = self._seen(http.get(case)).text
                token = shown.partition('name="csrf" value="')[2].partition('"')[0]
                self._seen(http.post(f"{case}/refresh", data={"csrf": token}, headers={"origin": origin}))

    @staticmethod
    def _seen(answer: httpx.Response) -> httpx.Response:
        """Return a page of the console; its error text counts like the command's own line."""
        if answer.status_code == 502:
            raise CaseBrokenError(unescape(answer.text.partition("<main")[2]))
        assert answer.status_code == 200, answer.text
        return answer

    def _looks(self) -> None:
        """Run the doctor, whose unsigned deliveries are not left behind."""
        self._forget_refused()
        self.run("doctor")
        bucket = self._outputs["bucket"]
        if self._bench.client("s3").list_objects_v2(Bucket=bucket, Prefix="webhooks-refused/")["KeyCount"]:
            raise CaseBrokenError(LEFT_BEHIND)

    def _asks_why(self) -> None:
        """Explain a case and a connection; show their history and the cases under way."""
        self.run("explain", "--connection", "claims")
        for command in ("explain", "timeline", "logs"):
            self.run(command, self.finished)
        self.run("watch", "--once")

    def _counts_costs(self) -> None:
        """Count the cost of a case and of a past month, which is stored and read the next time."""
        self.run("cost", self.finished)
        last = f"{now().replace(day=1) - timedelta(days=1):%Y-%m}"
        self._bench.client("s3").delete_object(Bucket=self._outputs["bucket"], Key=f"costs/{last}.json")
        for _ in range(2):
            self.run("cost", "--month", last)

    def _pauses(self) -> None:
        """Pause a connection, and resume it."""
        self.run("pause", "claims", "--reason", "the contract is being renewed")
        self.run("resume", "claims")

    def _names_the_vendors_case(self) -> None:
        """Answer with the case that the vendor has made of the request whose answer was lost."""
        reference, account = self.in_doubt(), accounts.load().ombudsman
        made = self._bench.deployment.sandbox.post(
            "/ombudsman/api/partner/v1/cases",
            json={"external_case_id": reference, "ombudsman": account.tenant},
            headers={"x-api-key": account.api_key},
        )
        assert made.is_success, made.text
        self.run("resolve", reference, "--use", made.json()["case_id"])

    def _cancels(self) -> None:
        """Cancel a case; the event of its stopped execution, which would record that as well, does not come first."""
        events = self._bench.client("events")
        ended = [each["Name"] for each in events.list_rules()["Rules"] if "Ended" in each["Name"]]
        assert ended, "there is no rule for ended executions"
        for name in ended:
            events.disable_rule(Name=name)
        try:
            self._cancels_alone()
        finally:
            for name in ended:
                events.enable_rule(Name=name)

    def _cancels_alone(self) -> None:
        self._sandbox("settings", seconds=3600)
        case = self._started("claims")
        until(lambda: self.item(pk_of(case), "WAIT"), 60, "the case does not wait")
        self._sandbox("settings", seconds=0)
        self.run("cancel", case["reference"])

    def _forgets(self) -> None:
        """Erase a case and its deliveries."""
        reference = f"gone-{self._run}-{next(self._numbers)}"
        self._operator("submit", "claims", self._file(), "--reference", reference, "--wait")
        self.run("forget", reference)

    def _sends_back_a_case(self) -> None:
        self.run("redrive", self._given_up(), "--yes")

    def _dismisses_a_case(self) -> None:
        self.run("redrive", self._given_up(), "--dismiss")

    def _given_up(self) -> str:
        reference = self.in_doubt()
        self._operator("resolve", reference, "--give-up")
        until(lambda: self.status({"connection": "disputes", "reference": reference}) == "failed", 60, "it goes on")
        return reference

    def _sends_back_messages(self) -> None:
        answer = self._dead_letters("--yes")
        assert answer["sent"] == [{"queue": "wake", "messages": 1}]

    def _dead_letters(self, what: str) -> Any:
        sqs = self._bench.client("sqs")
        url = sqs.get_queue_url(QueueName="dossier-dev-wake-dlq")["QueueUrl"]
        sqs.purge_queue(QueueUrl=url)
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"connection": "claims", "delivery": self.delivered()}))
        return self.run("redrive", "--cause", "dead letters of queue wake", what)

    def _replays(self) -> None:
        """Look at a delivery that came twice, and apply it again."""
        key = self.delivered(times=2)
        found = self.run("deliveries", "--connection", "claims", "--limit", "1")
        [delivery] = found["deliveries"] if isinstance(found, dict) else found
        if not delivery["repeats"]:
            raise CaseBrokenError(f"nothing is known of its coming again: {delivery}")
        self.run("replay", key)
        with serving(saying(answer())) as program:
            for what in ("deliveries", "events"):
                self.run("listen", "claims", "--forward", program.url, "--only", what, "--since", "1h", "--count", "1")

    def _sets_a_secret(self) -> None:
        """Set a secret that proves a delivery which was refused before, and have it applied."""
        known = accounts.load().docsumo
        self._post(NEW_SECRET, 401)
        try:
            secrets = ("--webhook-secret", NEW_SECRET, "--webhook-secret", known.webhook_secret)
            answer = self.run("secrets", "set", "claims", "--api-key", known.api_key, *secrets, "--apply-refused")
            if not answer.get("refused_before", {}).get("applied"):
                raise CaseBrokenError(f"nothing was applied: {self._said}")
        finally:
            self._operator("secrets", "set", "claims", "--api-key", known.api_key, *secrets[2:])
            self._forget_refused()

    def _makes_a_secret(self) -> None:
        """Set a secret that somebody has deleted."""
        known = accounts.load().ombudsman
        client = self._bench.client("secretsmanager")
        client.delete_secret(SecretId="dossier/disputes", ForceDeleteWithoutRecovery=True)
        try:
            self.run("secrets", "set", "disputes", "--api-key", known.api_key)
        finally:
            self._operator("secrets", "set", "disputes", "--api-key", known.api_key)

    def _drains(self) -> None:
        self._sandbox("settings", seconds=3600)
        try:
            case = self._started("claims")
            until(lambda: self.item(pk_of(case), "WAIT"), 60, "the case does not wait")
            self.run("drain", "--park")
            self.run("drain", "--stop")
        finally:
            self._sandbox("settings", seconds=0)
            self._operator("drain", "--stop")

    # How commands are run

    def run(self, *words: str, says: str = "") -> Any:
        """Run a command with the person's keys and return its JSON answer; with ``says`` it fails with these words.

        Raises:
            CaseBrokenError: it ended otherwise; with all that it said.

        """
        self.played.add(self.command_of(words))
        done = commands.run([*words, "--stage", "dev", "--json"], environment=self._environment, folder=ROOT)
        self._said = f"{done.stderr}\n{done.stdout}"
        if "Traceback" in self._said or (done.code and not done.stderr.splitlines()[-1].startswith("dossier: ")):
            raise AssertionError(self._said)
        if (says not in done.stderr) if says else done.code:
            raise CaseBrokenError(self._said)
        return json.loads(done.stdout)

    @staticmethod
    def command_of(words: Sequence[str]) -> str:
        """Return the command of words, with its subcommand or action."""
        more = len(words) > 1 and (words[0] in GROUPS or (words[0] == "batch" and words[1] in ACTIONS))
        return " ".join(words[: 1 + more])

    def refused(self, *words: str) -> str:
        """Run a command that the person may not run; return the line that says so."""
        done = commands.run([*words, "--stage", "dev"], environment=self._environment, folder=ROOT)
        assert done.code == 1, done
        assert "Traceback" not in done.stderr
        [line] = done.stderr.splitlines()
        return line if words[0] != "doctor" else done.stdout

    def _operator(self, *words: str) -> Any:
        """Run a command with every permission: it sets the scene."""
        return self._bench.deployment.dossier(*words)

    def _prove(self, case: Callable[[], object]) -> None:
        self._trial.prove(case)

    @staticmethod
    def _heard(grant: Grant, words: str) -> None:
        """See the missing permission be named, but where a command does without it."""
        if words == LEFT_BEHIND or (grant.action, grant.resource.split("/")[-2:][0]) in QUIET:
            return
        assert "is missing: " in words, words
        assert grant.action in words, words

    # The scene

    def _whole_case(self) -> str:
        reference = f"whole-{self._run}"
        path = self._file()
        self._operator("submit", "claims", path, "--reference", reference, "--wait")
        return reference

    def _file(self) -> str:
        path = self._folder / f"letter-{self._run}-{next(self._numbers)}.pdf"
        path.write_bytes(PDF + path.name.encode())
        return str(path)

    def _started(self, connection: str) -> dict[str, str]:
        return self._execute(self.submission(connection))

    def _execute(self, case: dict[str, Any]) -> dict[str, str]:
        machine = self._outputs["state_machine_arn"]
        self._bench.client("stepfunctions").start_execution(stateMachineArn=machine, input=json.dumps(case))
        return {"connection": case["connection"], "reference": case["reference"]}

    def in_doubt(self) -> str:
        """Return a case with an open question: the answer to its opening was lost, and the vendor cannot be asked."""
        case = self.submission("disputes")
        self.lose(case, "open")
        self._execute(case)
        until(lambda: self.status(case) == "needs_attention", 60, "nothing is asked")
        return str(case["reference"])

    def delivered(self, times: int = 1) -> str:
        """Deliver something that is accepted; return the key of the stored delivery."""
        self._post(accounts.load().docsumo.webhook_secret, 200, times)
        return self.newest()

    def _post(self, secret: str, status: int, times: int = 1) -> None:
        body = json.dumps({"event": "case_updated", "case_id": f"somebody-elses-{self._run}-{next(self._numbers)}"})
        headers = {"x-webhook-token": secret, "content-type": "application/json"}
        for _ in range(times):
            answer = httpx.post(self._outputs["webhook_urls"]["claims"], content=body, headers=headers, timeout=60)
            assert answer.status_code == status, answer.text

    def _forget_refused(self) -> None:
        """Delete refused deliveries: those of the next try are to be the only ones."""
        s3, bucket = self._bench.client("s3"), self._outputs["bucket"]
        found = s3.list_objects_v2(Bucket=bucket, Prefix="webhooks-refused/").get("Contents", [])
        for each in found:
            s3.delete_object(Bucket=bucket, Key=each["Key"])


def as_in_the_cloud(bench: Bench, keys: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of somebody with keys of an account, which is the local AWS."""
    theirs = {"AWS_ACCESS_KEY_ID": keys["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"]}
    connections = str(bench.home / "connections.toml")
    known = {**bench.deployment.environment, **aws_environment(bench.deployment.outputs["endpoint_url"])}
    return {**known, **theirs, "DOSSIER_CONNECTIONS": connections, "COLUMNS": "200"}
