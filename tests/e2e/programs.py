"""Programs that call the HTTP API with their own keys and policy."""

from __future__ import annotations

import json
from typing import Any

import httpx
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.e2e.world import World


class Program:
    """Sends signed requests as a user with one policy, for the named operations, or for everything."""

    def __init__(self, world: World, *resources: str) -> None:
        self._world, iam, name = world, world.client("iam"), world.name("program")
        iam.create_user(UserName=name)
        arn = f"arn:aws:execute-api:{world.outputs['region']}:*:*/$default"
        statement = {
            "Effect": "Allow",
            "Action": "execute-api:Invoke",
            "Resource": [f"{arn}/{x}" for x in resources] or "*",
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName=name, PolicyName="api", PolicyDocument=policy)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        self._signer = SigV4Auth(
            Credentials(key["AccessKeyId"], key["SecretAccessKey"]), "execute-api", world.outputs["region"]
        )

    def __call__(self, method: str, path: str, body: Any = None, *, signed: bool = True) -> httpx.Response:
        """Send a request."""
        content = b"" if body is None else json.dumps(body).encode()
        url = f"{self._world.outputs['api_url']}{path}"
        request = AWSRequest(method=method, url=url, data=content, headers={"content-type": "application/json"})
        if signed:
            self._signer.add_auth(request)
        with httpx.Client(trust_env=False, timeout=60) as client:
            return client.request(method, url, content=content, headers=dict(request.headers.items()))

    def sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign a request of the library ``requests``, as its ``auth``."""
        body = request.body.encode() if isinstance(request.body, str) else request.body or b""
        signed = AWSRequest(method=request.method, url=request.url, data=body)
        self._signer.add_auth(signed)
        request.headers.update(signed.headers.items())
        return request
