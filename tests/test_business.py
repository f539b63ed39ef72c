"""A business is a folder: what is wrong in it is said with file and line."""

import shutil
from pathlib import Path

import pytest

from callbot.business import Business, load
from callbot.demo import FOLDER, larkfield
from callbot.demo.shop import Shop
from callbot.errors import ConfigurationError


def copied(folder: Path) -> Path:
    for name in ("agents", "shared", "documents", "records"):
        shutil.copytree(FOLDER / name, folder / name)
    shutil.copy(FOLDER / "business.yaml", folder)
    return folder


def read(folder: Path) -> Business:
    return load(folder, Shop.read(FOLDER / "records").tools())


def test_the_demo_is_a_business_with_four_agents_and_five_numbers() -> None:
    business = larkfield()
    assert business.name == "Larkfield Broadband"
    assert set(business.agents) == {"support", "sales", "technical", "recepcion"}
    assert len(business.numbers) == 5
    assert business.agents["recepcion"].language == "es"
    assert business.flows["recepcion"].language == "es"


def test_two_businesses_share_no_bookings() -> None:
    assert larkfield().tools is not larkfield().tools


@pytest.mark.parametrize(
    ("file", "written", "instead", "said"),
    [
        ("business.yaml", "agent: sales", "agent: seles", r"business\.yaml:\d+: there is no agent 'seles'"),
        ("business.yaml", "      technical: [", "      tecnical: [", r"there is no agent 'tecnical'"),
        ("business.yaml", "        agent: recepcion", "        agent: recepcio", r"no agent 'recepcio'"),
        ("business.yaml", "name: Larkfield Broadband", "title: Larkfield", r"there is no key 'title'"),
        ("agents/sales.yaml", "documents: en", "documents: fr", r"sales\.yaml:\d+: there is no set of doc"),
        ("agents/sales.yaml", "name: sales", "name: seller", r"sales\.yaml:1: the agent is called 'seller'"),
        ("documents/en.yaml", "    title: Delivery\n", "", r"passages\.delivery: 'title' is missing"),
    ],
)
def test_a_mistake_in_the_folder_is_named(
    tmp_path: Path, file: str, written: str, instead: str, said: str
) -> None:
    path = copied(tmp_path) / file
    text = path.read_text(encoding="utf-8")
    assert written in text
    path.write_text(text.replace(written, instead, 1), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=said):
        read(tmp_path)


def test_a_business_without_agents_is_refused(tmp_path: Path) -> None:
    shutil.rmtree(copied(tmp_path) / "agents")
    with pytest.raises(ConfigurationError, match="there are no agents"):
        read(tmp_path)
