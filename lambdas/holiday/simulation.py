"""Failures that the caller asks for with a run type of services.py."""

from msgspec import UNSET, UnsetType

from holiday.failures import BookingError
from holiday.handler_info import AnyHandler, name_of
from holiday.services import RUN_TYPES


def simulate(run_type: str | UnsetType, step: AnyHandler) -> None:
    """Fail for good (BookingError) if the caller asked for a simulated failure of this step."""
    if run_type is not UNSET and RUN_TYPES.get(run_type) == name_of(step):
        raise BookingError("simulated", f"simulated, as asked for by run_type {run_type}", 422)
