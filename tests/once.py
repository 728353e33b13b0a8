"""What boto3 and Typer read or compute anew each time, though it is always the same: done once here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from types import FunctionType
from typing import Any
from weakref import WeakKeyDictionary

import boto3.dynamodb.transform
import botocore.client
import botocore.hooks
import botocore.httpsession
import botocore.loaders
import botocore.regions
import botocore.session
import httpx
import moto.core.models
import moto.core.responses
import pytest
import typer.main
import typer.testing
from boto3.resources.factory import ResourceFactory
from botocore.client import ClientCreator
from botocore.endpoint import EndpointCreator
from botocore.endpoint_provider import EndpointProvider
from botocore.hooks import NodeList, _PrefixTrie
from botocore.httpsession import create_urllib3_context
from botocore.model import ServiceModel
from botocore.useragent import UserAgentString


@contextmanager
def read_once() -> Iterator[None]:
    """Read service models, rules for endpoints, certificates and the command line once, as long as this lasts."""
    loader = botocore.loaders.create_loader()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", lambda *_: loader)
        patch.setattr(botocore.regions, "EndpointProvider", _providers(EndpointProvider))
        patch.setattr(botocore.client, "ServiceModel", _models(ServiceModel))
        patch.setattr(ClientCreator, "_create_client_class", _classes(ClientCreator._create_client_class))
        patch.setattr(ResourceFactory, "load_from_definition", _resources(ResourceFactory.load_from_definition))
        patch.setattr(botocore.httpsession, "create_urllib3_context", cache(create_urllib3_context))
        patch.setattr(botocore.hooks.EventAliaser, "__init__", _aliaser(botocore.hooks.EventAliaser.__init__))
        patch.setattr(botocore.hooks, "accepts_kwargs", _remembering(botocore.hooks.accepts_kwargs))
        patch.setattr(_PrefixTrie, "_recursive_copy", lambda _, attributes: {"_root": _branch(attributes["_root"])})
        patch.setattr(UserAgentString, "to_string", _once_for_each(UserAgentString.to_string))
        patch.setattr(boto3.dynamodb.transform, "copy_dynamodb_params", lambda params, **_: _copied(params))
        to_names = moto.core.responses.camelcase_to_underscores
        patch.setattr(moto.core.responses, "camelcase_to_underscores", cache(to_names))
        patch.setattr(moto.core.models, "RESPONSES_METHODS", [])  # for clients of the package requests: there is none
        patch.setattr(EndpointCreator, "_get_proxies", lambda *_: {})  # AWS is in memory
        patch.setattr(typer.testing, "_get_command", cache(typer.main.get_command))
        context = _context(httpx.create_ssl_context)
        patch.setattr(httpx, "create_ssl_context", context)
        patch.setattr(httpx._transports.default, "create_ssl_context", context)  # of clients
        yield


def _providers(make: Callable[..., Any]) -> Callable[..., Any]:
    """Return what makes one provider of endpoints for each set of rules: it has no state but a cache of its answers."""
    made: dict[tuple[int, int], tuple[Any, ...]] = {}

    def provider(ruleset_data: Any, partition_data: Any, excluded_params: Any = None) -> Any:
        key = id(ruleset_data), id(partition_data)
        if key not in made:  # the object of an id is kept as long as the id is
            found = make(ruleset_data, partition_data, excluded_params)
            made[key] = found, ruleset_data, partition_data
        return made[key][0]

    return provider


def _models(make: Callable[..., ServiceModel]) -> Callable[..., ServiceModel]:
    """Return what makes one model of each service's description: it only adds what it has looked up before."""
    made: dict[int, tuple[ServiceModel, Any]] = {}

    def model(service_description: Any, service_name: str | None = None) -> ServiceModel:
        key = id(service_description)
        if key not in made:
            made[key] = make(service_description, service_name), service_description
        return made[key][0]

    return model


def _classes(make: Callable[..., type]) -> Callable[..., type]:
    """Return what makes one class of clients for each service, unless somebody else has a say in it.

    A session's handlers of ``creating-client-class`` add bases and methods: with the usual ones, it is always the same.
    """
    made: dict[tuple[str, int, tuple[str, ...]], type] = {}

    def client_class(self: ClientCreator, service_name: str, service_model: ServiceModel) -> type:
        event = f"creating-client-class.{service_model.service_id.hyphenize()}"
        handlers = self._event_emitter._emitter._handlers.prefix_search(event)
        key = service_name, id(service_model), tuple(getattr(each, "__qualname__", repr(each)) for each in handlers)
        if key not in made:
            made[key] = make(self, service_name, service_model)
        return made[key]

    return client_class


def _resources(make: Callable[..., type]) -> Callable[..., type]:
    """Return what makes one class of resources for each description: sessions have boto3's own handlers for them."""
    made: dict[tuple[str, str, int], tuple[type, Any]] = {}

    def resource_class(
        self: ResourceFactory, resource_name: str, single_resource_json_definition: Any, service_context: Any
    ) -> type:
        key = resource_name, service_context.service_name, id(single_resource_json_definition)
        if key not in made:  # the object of an id is kept as long as the id is
            found = make(self, resource_name, single_resource_json_definition, service_context)
            made[key] = found, single_resource_json_definition
        return made[key][0]

    return resource_class


def _aliaser(make: Callable[..., None]) -> Callable[..., None]:
    """Return a constructor whose objects share what they know of the usual aliases of events."""
    shared: dict[str, str] = {}

    def init(self: Any, event_emitter: Any, event_aliases: Any = None) -> None:
        make(self, event_emitter, event_aliases)
        if self._event_aliases == botocore.hooks.EVENT_ALIASES:
            self._alias_name_cache = shared

    return init


def _remembering(accepts: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return ``accepts_kwargs`` with a memory for functions, whose signatures do not change."""
    remembered = lru_cache(maxsize=1024)(accepts)
    return lambda handler: remembered(handler) if isinstance(handler, FunctionType) else accepts(handler)


def _branch(node: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of a node of the tree that holds a client's handlers by their events: each client copies it."""
    values, children = node["values"], node["children"]
    return {
        "chunk": node["chunk"],
        "children": {name: _branch(each) for name, each in children.items()} if children else {},
        "values": values and NodeList(list(values.first), list(values.middle), list(values.last)),
    }


def _once_for_each(build: Callable[[Any], str]) -> Callable[[Any], str]:
    """Return a method that builds the text of an object once: of a client's name, nothing changes during a test."""
    built: WeakKeyDictionary[Any, str] = WeakKeyDictionary()

    def text(self: Any) -> str:
        if self not in built:
            built[self] = build(self)
        return built[self]

    return text


def _copied(value: Any) -> Any:
    """Return a copy of parameters, which boto3 changes afterwards: of what holds others, not of what it only reads."""
    if isinstance(value, dict):
        return {name: _copied(each) for name, each in value.items()}
    return [_copied(each) for each in value] if isinstance(value, list) else value


def _context(make: Callable[..., Any]) -> Callable[..., Any]:
    """Return what reads the certificates that a client trusts once for each of its usual settings."""
    known = cache(make)
    return lambda verify=True, cert=None, trust_env=True: known(verify=verify, cert=cert, trust_env=trust_env)
