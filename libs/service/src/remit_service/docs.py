"""/docs: a page of our own that renders /openapi.json and loads nothing from another host."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.responses import HTMLResponse


def add_docs(app: FastAPI) -> None:
    async def page() -> HTMLResponse:
        return HTMLResponse(f"<!doctype html><title>{app.title}</title><a href='openapi.json'>OpenAPI</a>")

    app.add_api_route("/docs", page, methods=["GET"], include_in_schema=False, response_model=None)
