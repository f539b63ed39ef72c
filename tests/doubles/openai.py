"""All of OpenAI at one address, as a key of theirs reaches it: hearing, speaking and thinking."""

from typing import Self

from aiohttp import web

from tests.doubles.openai_chat import OpenAiChatDouble
from tests.doubles.openai_speech import OpenAiSpeechDouble


class OpenAiDouble:
    """``async with double: double.url``. Each of the two keeps its own plan and its own ways."""

    def __init__(self, speech: OpenAiSpeechDouble, chat: OpenAiChatDouble) -> None:
        self.speech = speech
        self.chat = chat
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=26 << 20)
        app.add_routes([*self.speech.routes(), *self.chat.routes()])
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.5, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.speech.hang_up()
        await self._runner.cleanup()
