"""The pages of the project."""

from django.contrib import admin
from django.http import HttpResponse
from django.urls import path


def index(request):
    """Say who asks, and how."""
    return HttpResponse(f"Welcome, {request.META['REMOTE_ADDR']}, by {request.scheme} at {request.get_host()}\n")


urlpatterns = [path("", index), path("admin/", admin.site.urls)]
