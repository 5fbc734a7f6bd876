"""/docs: Swagger UI from a wheel, loading nothing from another host; a policy header holds it to that."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

ONLY_SELF = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
)


def add_docs(app: FastAPI) -> None:
    async def page(request: Request) -> Response:
        root = request.scope.get("root_path", "").rstrip("/")
        html = get_swagger_ui_html(
            openapi_url=f"{root}/openapi.json",
            title=app.title,
            swagger_js_url=f"{root}/docs/assets/swagger-ui-bundle.js",
            swagger_css_url=f"{root}/docs/assets/swagger-ui.css",
            swagger_favicon_url=f"{root}/docs/assets/favicon.png",
            swagger_ui_parameters={"validatorUrl": None, "displayRequestDuration": True},
        )
        html.headers["Content-Security-Policy"] = ONLY_SELF
        return html

    app.add_api_route("/docs", page, methods=["GET"], include_in_schema=False, response_model=None)
    app.mount("/docs/assets", StaticFiles(directory=_assets()), name="docs-assets")


def _assets() -> Path:
    spec = find_spec("fastapi_offline")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package fastapi-offline, which holds the docs page, is not installed")
    return Path(spec.origin).parent / "static"
