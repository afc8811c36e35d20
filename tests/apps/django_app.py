"""A small Django application in one file: sessions, redirects, uploads, streams, static files, errors."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, HttpResponse, HttpResponseRedirect, JsonResponse, StreamingHttpResponse
from django.urls import path
from django.views.static import serve

STATIC = Path(__file__).parent / "static"

if not settings.configured:
    settings.configure(
        DEBUG=False,
        SECRET_KEY="a secret for tests",
        ALLOWED_HOSTS=["127.0.0.1", "localhost"],
        ROOT_URLCONF=__name__,
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        MIDDLEWARE=[
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
        ],
        INSTALLED_APPS=["django.contrib.sessions"],
        FILE_UPLOAD_MAX_MEMORY_SIZE=100_000,
        FILE_UPLOAD_TEMP_DIR=os.environ.get("TMPDIR"),
        LOGGING_CONFIG=None,
    )
    django.setup()


def count(request: Any) -> HttpResponse:
    """Count the visits of this browser."""
    request.session["visits"] = request.session.get("visits", 0) + 1
    return JsonResponse({"visits": request.session["visits"], "url": request.build_absolute_uri()})


def login(request: Any) -> HttpResponse:
    """Take a form and go elsewhere."""
    request.session["name"] = request.POST["name"]
    return HttpResponseRedirect(request.build_absolute_uri("/whoami"))


def whoami(request: Any) -> HttpResponse:
    """Say who logged in."""
    return HttpResponse(request.session.get("name", "nobody"), content_type="text/plain")


def upload(request: Any) -> HttpResponse:
    """Take a file from a form of several parts; large ones go to the disk."""
    file = request.FILES["file"]
    content = file.read()
    answer = {"filename": file.name, "length": len(content), "sum": sum(content), "note": request.POST["note"]}
    return JsonResponse(answer)


def stream(request: Any) -> StreamingHttpResponse:
    """Answer with pieces that are made while they are sent."""

    def pieces() -> Iterator[bytes]:
        for number in range(100):
            yield b"line %d\n" % number

    return StreamingHttpResponse(pieces(), content_type="text/plain")


def download(request: Any) -> FileResponse:
    """Answer with a file, which Django hands to wsgi.file_wrapper."""
    return FileResponse((STATIC / "style.css").open("rb"))


def broken(request: Any) -> HttpResponse:
    """Fail as applications do."""
    raise RuntimeError("a defect of the application")


urlpatterns = [
    path("count", count),
    path("login", login),
    path("whoami", whoami),
    path("upload", upload),
    path("stream", stream),
    path("download", download),
    path("broken", broken),
    path("static/<path:path>", serve, {"document_root": str(STATIC)}),
]

application = get_wsgi_application()
