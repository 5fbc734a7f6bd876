"""`/v1/callbacks/twilio`: signed by Twilio against PUBLIC_URL, each taken once."""

from __future__ import annotations

from html import escape
from typing import Annotated
from urllib.parse import parse_qsl
from uuid import UUID

from fastapi import Query, Request, Response
from starlette.datastructures import ImmutableMultiDict
from twilio.request_validator import SIGNATURE_HEADER, RequestValidator

from notifier_svc import inbound, ledger
from notifier_svc.api.wiring import Wiring, WiringDep
from notifier_svc.inbound import Inbound
from remit_service.api import LinkRoute, Now, Router, SessionDep, problem_responses
from remit_service.problems import Problem

router = Router(prefix="/v1/callbacks/twilio", route_class=LinkRoute, tags=["callbacks"])

FORM = "application/x-www-form-urlencoded"
_BODY = {"requestBody": {"content": {FORM: {"schema": {"type": "object"}}}, "required": True}}
Form = ImmutableMultiDict[str, str]


@router.post(
    "/status",
    summary="Take a delivery status from Twilio",
    status_code=204,
    responses=problem_responses(403, 404),
    response_class=Response,
    openapi_extra=_BODY,
)
async def status(
    request: Request,
    session: SessionDep,
    wiring: WiringDep,
    now: Now,
    delivery_id: Annotated[
        UUID | None, Query(description="Put into the callback's URL when the message was sent.")
    ] = None,
) -> Response:
    """How a message went on. An unknown one is settled by this, as the URL names the delivery."""
    form = await _signed(request, wiring)
    sid, word = form.get("MessageSid", ""), form.get("MessageStatus", "")
    if sid and word and await inbound.first_time(session, sid, word, now):
        known = delivery_id or await ledger.find(session, "twilio", sid)
        for stored in await ledger.locked(session, [known] if known else []):
            if stored.provider == "twilio" and stored.provider_id in ("", sid):
                code = form.get("ErrorCode", "")
                error_code = int(code) if code.isdecimal() else None
                await inbound.message_status(session, stored, sid, word, error_code, now)
        session.after_commit.append(wiring.nudge)
    return Response(status_code=204)


@router.post(
    "/inbound",
    summary="Take an SMS of a debtor from Twilio",
    responses=problem_responses(403, 404),
    response_class=Response,
    openapi_extra=_BODY,
)
async def receive(request: Request, session: SessionDep, wiring: WiringDep, now: Now) -> Response:
    """An SMS from a debtor: STOP words close the number at once, START words open it, the rest a person reads."""
    form = await _signed(request, wiring)
    came = Inbound(
        sid=form.get("MessageSid", ""),
        sender=form.get("From", ""),
        to=form.get("To", ""),
        body=form.get("Body", ""),
        opt_out_type=form.get("OptOutType", ""),
    )
    said = await inbound.answer(session, came, now) if came.sid and came.sender else None
    message = f"<Message>{escape(said, quote=False)}</Message>" if said else ""
    twiml = f'<?xml version="1.0" encoding="UTF-8"?><Response>{message}</Response>'
    return Response(twiml, media_type="text/xml")


async def _signed(request: Request, wiring: Wiring) -> Form:
    """The form, once its signature is right for the URL Twilio was given; never for the host a request claims."""
    settings = wiring.settings
    if settings.public_url is None or settings.twilio_auth_token is None:
        raise Problem("not-found", 404, "Not found", "Callbacks are not configured: set PUBLIC_URL and TWILIO_*.")
    body = (await request.body()).decode("utf-8", "replace")
    form = Form(parse_qsl(body, keep_blank_values=True))
    query = f"?{request.url.query}" if request.url.query else ""
    url = settings.public_url + request.url.path + query
    validator = RequestValidator(settings.twilio_auth_token.get_secret_value())
    if not validator.validate(url, form, request.headers.get(SIGNATURE_HEADER, "")):
        raise Problem(
            "bad-signature", 403, "Bad signature", "The signature is not Twilio's for PUBLIC_URL and this body."
        )
    return form
