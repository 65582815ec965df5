"""What moved in the figures, as told on ``changes.figures`` and by ``GET /v1/changes``: no figure, only what to ask again."""

from shared.events.codes import Model, Moment


class FiguresMoved(Model):
    """All that moved from after one step up to another. Whoever has not heard of ``since`` has missed something."""

    step: int
    since: int
    position: dict[str, int]
    """How far the streams of enrolment and certification are in them."""
    time: Moment
    """When the newest of it was recorded."""
    figures: dict[str, int | float]
    """By measure, how many more there are in all; 0 where only their places changed."""
    places: dict[str, list[str]]
    """Programmes and countries in which something moved; what is not there moved in many."""
