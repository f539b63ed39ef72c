"""What a day has cost so far. See ``callbot/daybook.py``, which writes it."""

from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col, select

from callbot.store.tables import Spending


async def spent_by_others(day: str, process: str, currency: str, *, session: AsyncSession) -> Decimal:
    """What all processes but ``process`` have spent on ``day``, in ``currency``: those that run, on whatever
    machine, and those that are gone."""
    amounts = select(Spending.amount).where(
        col(Spending.day) == day, col(Spending.process) != process, col(Spending.currency) == currency
    )
    return sum(map(Decimal, (await session.scalars(amounts)).all()), Decimal(0))
