"""A business is a folder: what is wrong in it is said with file and line."""

import re
import shutil
from pathlib import Path

import pytest

from callbot.business import Business, load
from callbot.demo import FOLDER, larkfield
from callbot.demo.shop import Shop
from callbot.errors import ConfigurationError
from callbot.routing.intake import Busy, CallBack, Dial, Overflow, Sorry


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


@pytest.mark.parametrize(
    ("written", "overflow"),
    [
        ('dial: "+15550199"', Dial("+15550199")),
        ("callback: true", CallBack()),
        ("busy: true", Busy()),
        ("say: Please call tomorrow.", Sorry("Please call tomorrow.")),
        ('say: One moment.\n      dial: "+15550199"', Dial("+15550199", "One moment.")),
    ],
)
def test_a_number_says_how_it_overflows(tmp_path: Path, written: str, overflow: Overflow) -> None:
    path = copied(tmp_path) / "business.yaml"
    text = re.sub(r"overflow:\n.*\n.*\n", f"overflow:\n      {written}\n", path.read_text(encoding="utf-8"))
    path.write_text(text, encoding="utf-8")
    numbers = read(tmp_path).numbers
    assert numbers["+15550100"].overflow == overflow
    assert numbers["+15550101"].overflow == Sorry()


def test_the_demo_calls_back() -> None:
    assert isinstance(larkfield().numbers["+15550100"].overflow, CallBack)


def test_two_businesses_share_no_bookings() -> None:
    assert larkfield().tools is not larkfield().tools


@pytest.mark.parametrize(
    ("file", "written", "instead", "said"),
    [
        ("business.yaml", "agent: sales", "agent: seles", r"business\.yaml:\d+: there is no agent 'seles'"),
        ("business.yaml", "      technical: [", "      tecnical: [", r"there is no agent 'tecnical'"),
        ("business.yaml", "        agent: recepcion", "        agent: recepcio", r"no agent 'recepcio'"),
        ("business.yaml", "callback: true", "callback: yes", r"business\.yaml:\d+: .*callback.*write true"),
        ("business.yaml", "callback: true", "callbak: true", r"no key 'callbak'; did you mean 'callback'"),
        ("business.yaml", "callback: true", 'dial: "5550199"', r"dial.*a telephone number in quotes"),
        ("business.yaml", "callback: true", 'dial: "+15550101"', r"one of the business's own numbers"),
        ("business.yaml", "callback: true", "busy: true", r"business\.yaml:\d+: .*hears no words"),
        (
            "business.yaml",
            "callback: true",
            'callback: true\n      dial: "+15550199"',
            r"business\.yaml:\d+: a call overflows one way: write dial or callback",
        ),
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
