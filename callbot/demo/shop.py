"""The demo's tools: a shop whose records are YAML files and whose bookings last as long as the process."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Literal, TypedDict

from callbot.agents import yaml_source
from callbot.agents.slots import alike
from callbot.agents.tools import NotFound, ToolFailed, Tools

_ADVICE = {
    "flat": "For your flat",
    "house": "For your house",
    "gaming": "For gaming and lots of devices",
}

_NUMBERS = (
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)


class OrderFound(TypedDict):
    order_id: str
    product: str
    status: str
    when: str


class AccountFound(TypedDict, total=False):
    last_bill: str
    state: str
    due: str
    paid_by: str
    overdue: str


class ProductFound(TypedDict):
    key: str
    name: str
    price: str
    total: str
    items: str
    advice: str


class OrderPlaced(TypedDict):
    order_id: str
    total: str


class Booked(TypedDict):
    reference: str


@dataclass(slots=True)
class Shop:
    """What the business knows. The ``async`` methods are the tools; strings are empty when nobody knows
    them."""

    products: Mapping[str, Mapping[str, Any]]
    orders: dict[str, dict[str, Any]]
    accounts: Mapping[str, Mapping[str, Any]]
    bookings: dict[str, dict[str, str]] = field(default_factory=dict)
    _order_numbers: "count[int]" = field(default_factory=lambda: count(1001))
    _references: "count[int]" = field(default_factory=lambda: count(1))

    @classmethod
    def read(cls, folder: Path) -> "Shop":
        """Read ``catalogue.yaml``, ``orders.yaml`` and ``accounts.yaml``."""
        return cls(
            products=yaml_source.read(folder / "catalogue.yaml").data["products"],
            orders=yaml_source.read(folder / "orders.yaml").data["orders"],
            accounts=yaml_source.read(folder / "accounts.yaml").data["accounts"],
        )

    def tools(self) -> Tools:
        """All tools of the shop, registered."""
        tools = Tools()
        for look_up in (self.find_order, self.find_account, self.find_product):
            tools.add(look_up)
        for change in (self.place_order, self.book_callback, self.book_visit):
            tools.add(change, changes_data=True)
        return tools

    async def find_order(self, order_id: str) -> OrderFound | NotFound:
        """An order's product, status (shipped, delayed, delivered, placed) and when.

        Args:
            order_id: a letter and four digits, like B7429
        """
        order = self.orders.get(order_id.upper())
        if order is None:
            return NotFound({"order_id": alike(order_id, self.orders)})
        name = self.products[order["product"]]["name"]
        return OrderFound(order_id=order_id.upper(), product=name, status=order["status"], when=order["when"])

    async def find_account(self, phone: str) -> AccountFound | None:
        """The last bill of the account whose owner rings from ``phone``.

        Args:
            phone: E.164, like +15550142
        """
        account = self.accounts.get(phone)
        if account is None:
            return None
        found = AccountFound(last_bill=_money(account["last_bill"]), state=account["state"])
        if "due" in account:
            found["due"] = account["due"]
        if "paid_by" in account:
            found["paid_by"] = account["paid_by"]
        if "overdue" in account:
            found["overdue"] = _money(account["overdue"])
        return found

    async def find_product(
        self, product: str = "", home: Literal["", "flat", "house", "gaming"] = "", quantity: int = 1
    ) -> ProductFound | None:
        """A product with its price, or the one recommended for a kind of home.

        Args:
            product: mini, mesh or pro (routers), fiber_100, fiber_500 or fiber_gig (plans)
        """
        key = product or next(
            (key for key, entry in self.products.items() if home in entry.get("homes", ())), ""
        )
        if key not in self.products:
            return None
        entry = self.products[key]
        per = f" a {entry['per']}" if "per" in entry else ""
        return ProductFound(
            key=key,
            name=entry["name"],
            price=_money(entry["price"]) + per,
            total=_money(entry["price"] * quantity) + per,
            items=_items(entry, quantity),
            advice=_ADVICE.get(home, "Then"),
        )

    async def place_order(
        self, product: str, quantity: int, email: str = "", replaces: str = ""
    ) -> OrderPlaced | None:
        """Order ``quantity`` of a product.

        Args:
            product: its key, as find_product tells it
            email: where the receipt goes
            replaces: the number of an order of this call that was corrected
        """
        if product not in self.products:
            raise ToolFailed(f"there is no product {product!r}")
        order_id = replaces if replaces in self.orders else f"L{next(self._order_numbers)}"
        self.orders[order_id] = {
            "product": product,
            "status": "placed",
            "when": "in two working days",
            "quantity": quantity,
            "email": email,
        }
        total = _money(self.products[product]["price"] * quantity)
        return OrderPlaced(order_id=order_id, total=total)

    async def book_callback(
        self, day: str, time: str, phone: str, topic: str = "", replaces: str = ""
    ) -> Booked | None:
        """A colleague calls ``phone`` on ``day`` at ``time``.

        Args:
            day: a date like 2026-11-30, no Sunday
            time: like 09:30, from 08:00 to 20:00
            phone: E.164, like +15550142
            replaces: the reference of a booking of this call that was corrected
        """
        return self._book("C", {"day": day, "time": time, "phone": phone, "topic": topic}, replaces=replaces)

    async def book_visit(self, day: str, phone: str = "", replaces: str = "") -> Booked | None:
        """A technician comes on ``day``.

        Args:
            day: a date like 2026-11-30, no Sunday
            replaces: the reference of a booking of this call that was corrected
        """
        return self._book("V", {"day": day, "phone": phone}, replaces=replaces)

    def _book(self, letter: str, booking: dict[str, str], *, replaces: str) -> Booked:
        reference = replaces if replaces in self.bookings else f"{letter}{next(self._references)}"
        self.bookings[reference] = booking
        return Booked(reference=reference)


def _items(entry: Mapping[str, Any], number: int) -> str:
    """``one Lark Mini router``, ``two Lark Mesh kits``."""
    words = _NUMBERS[number] if number < len(_NUMBERS) else str(number)
    return f"{words} {entry['name']}{'' if number == 1 else 's'}"


def _money(amount: float) -> str:
    return f"${amount:,.2f}"
