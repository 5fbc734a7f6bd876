"""Dependencies that only look at the request, as the session, the caller and the time of it: solved without FastAPI.

Solving one as FastAPI does takes 30 µs, most of it spent on the parameters it does not have; a route has about three.
FastAPI's own are solved by it as ever. Ours come first, so that who may not call is told so whatever they sent.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from fastapi import Request
from fastapi.dependencies.models import Dependant

Direct = dict[str, Callable[..., Awaitable[Any]]]

_REQUEST = "remit_request"


def taken_out(dependant: Dependant) -> Direct:
    """What the route's endpoint gets from dependencies that `solve` solves; FastAPI no longer sees them."""
    endpoint = dependant.call
    direct = {one.name: one.call for one in dependant.dependencies if one.name and one.call and _is_direct(one)}
    if endpoint is None or not inspect.iscoroutinefunction(endpoint) or not direct:
        return {}
    dependant.dependencies = [one for one in dependant.dependencies if one.name not in direct]
    wanted = dependant.request_param_name
    dependant.request_param_name = wanted or _REQUEST

    @wraps(endpoint)
    async def call(**given: Any) -> Any:
        request: Request = given[wanted] if wanted else given.pop(_REQUEST)
        return await endpoint(**given, **request.state.direct)

    dependant.call = call
    return direct


async def solve(request: Request, direct: Direct) -> None:
    """Raises what they raise, such as the 401 problem."""
    request.state.direct = {name: await call(request) for name, call in direct.items()}


def _is_direct(one: Dependant) -> bool:
    """Whether it is a coroutine function of a request and of nothing else."""
    if not inspect.iscoroutinefunction(one.call) or one.request_param_name is None or one.dependencies:
        return False
    return len(inspect.signature(one.call).parameters) == 1
