"""The static quality pages: opened from disk, no server, no network. See `build_site`."""

from reporting.site.build import build_site

__all__ = ["build_site"]
