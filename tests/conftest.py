"""For every test: no packet leaves this machine, the terminal is an ordinary one, and ``virtual_time`` picks
the loop that jumps, ``server_loop`` the one that servers run on."""

import asyncio
import ipaddress
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import uvicorn
from hypothesis import settings

from tests.virtual_time import VirtualTimeLoop


def _leaves_this_machine(host: object) -> bool:
    if not host or host == "localhost":
        return False
    if isinstance(host, bytes):
        host = host.decode()
    try:
        return not ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        return True  # a name that somebody else's server would have to resolve


def _stay_on_this_machine(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: Python calls it before it connects, sends or resolves, whoever asks for it.

    ``pytest.fail`` raises what no ``except Exception`` swallows.
    """
    match event, arguments:
        case ("socket.connect" | "socket.sendto", (_, (host, *_))) if _leaves_this_machine(host):
            pytest.fail(f"{event} to {host}: tests reach 127.0.0.1 and [::1] only")
        case ("socket.getaddrinfo" | "socket.gethostbyname", (host, *_)) if _leaves_this_machine(host):
            pytest.fail(f"{event} of {host}: tests reach 127.0.0.1 and [::1] only")


def pytest_configure(config: pytest.Config) -> None:
    os.environ["TERM"] = "xterm-256color"  # whatever this runs in: what a terminal shows is tested as such
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        os.environ.pop(name, None)
    settings.register_profile("ci", derandomize=True, deadline=None)  # one run is like the next
    settings.register_profile("here", deadline=None)
    settings.load_profile("ci" if os.environ.get("CI") else "here")
    os.environ["TERM"] = "xterm-256color"  # what a terminal shows does not hang on who runs the tests where
    os.environ.pop("NO_COLOR", None)
    config.addinivalue_line("markers", "virtual_time: runs on a loop whose clock jumps to the next timer")
    config.addinivalue_line(
        "markers", "server_loop: runs on the loop that servers run on, uvloop where it is"
    )
    sys.addaudithook(_stay_on_this_machine)  # stays until the process ends, so not in a fixture


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    if item.get_closest_marker("virtual_time"):
        return {"virtual": VirtualTimeLoop}
    if item.get_closest_marker("server_loop"):
        return {"server": uvicorn.Config("", log_config=None).get_loop_factory() or asyncio.new_event_loop}
    return {"real": asyncio.new_event_loop}
