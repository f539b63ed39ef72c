"""Larkfield Broadband: an invented business that sells home internet, to try everything on."""

from pathlib import Path

from callbot.business import Business, load
from callbot.demo.shop import Shop

FOLDER = Path(__file__).parent


def larkfield() -> Business:
    """The demo business, with orders and bookings of its own."""
    return load(FOLDER, Shop.read(FOLDER / "records").tools())
