"""The page: static files of this package, without a build step or anything from elsewhere."""

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

FOLDER = Path(__file__).resolve().parents[2] / "ui"


def install(app: FastAPI) -> None:
    """Serve the page at `/`, its files below `/ui`."""
    app.mount("/ui", StaticFiles(directory=FOLDER), name="ui")

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(FOLDER / "index.html", headers={"Cache-Control": "no-cache"})
