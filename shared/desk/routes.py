"""The pages that every desk has: what can be said, what was said, and the guide."""

from fastapi import APIRouter

from shared.desk import rosters as roster_pages
from shared.desk import said, saying
from shared.desk.frame import Desk
from shared.desk.house import House, show_guide
from shared.desk.rosters import Rosters


def routes(desk: Desk, house: House, rosters: Rosters) -> APIRouter:
    """The pages at /record, /said, /rosters and /guide."""
    router = desk.router()
    router.include_router(saying.routes(desk, house))
    router.include_router(said.routes(desk, house))
    router.include_router(roster_pages.routes(desk, rosters))
    router.add_api_route("/guide", show_guide(desk), methods=["GET"])
    return router
