"""What the caller's words mean while we speak, or have just begun to: do they take the floor?"""

from collections.abc import Iterable
from dataclasses import dataclass

from callbot.agents.brain import Expect, Expecting
from callbot.conversation import completeness, echo
from callbot.conversation.farewell import is_farewell
from callbot.conversation.rules import TurnRules
from callbot.conversation.turns import AgentTurn, CallerTurn
from callbot.media_stream.playback import Playback


@dataclass(frozen=True, slots=True)
class Overlap:
    """The moment as it is: whose turns are open, what was asked for, and how much of it has been heard."""

    rules: TurnRules
    playback: Playback
    caller: CallerTurn | None
    reply: AgentTurn | None
    expect: Expect
    language: str

    def deliberate(self, caller: CallerTurn) -> bool:
        """The words so far are meant for us, not just a sign of listening."""
        if caller.final:
            return not self.ignorable(caller.text)
        return completeness.is_interruption(caller.text, self.language) or (
            len(caller.text.split()) > 2 and not self.ignorable(caller.text)
        )

    def ignorable(self, text: str) -> bool:
        """Said while we speak, these words do not take the floor."""
        if not any(letter.isalnum() for letter in text):
            return True
        reply = self.reply
        if reply is None:
            return False
        if self.caller is not None and self.caller.only_hummed(self.rules):
            return True
        if reply.ending is not None and is_farewell(text, self.language):
            return True
        if reply.changed and self.goes_on(reply) and not completeness.is_interruption(text, self.language):
            return True  # the end of the "yes" on which it was done
        if self.expect.what in (Expecting.YES_NO, Expecting.CHOICE) and self._question_heard(reply):
            return False
        return completeness.is_backchannel(text, self.language)

    def goes_on(self, reply: AgentTurn) -> bool:
        """The caller had not finished: they spoke on before they could react to our answer."""
        caller = self.caller
        if not reply.answered or caller is None or not caller.hearing:
            return False  # keys are never the end of a sentence
        if caller.echo:
            return False  # it was we who began so soon
        return reply.first_sent is None or caller.started < reply.first_sent + self.rules.going_on_within

    def without_echo(self, text: str, caller: CallerTurn, said: Iterable[str], *, echoes: bool) -> str:
        """What of ``text`` is the caller's: some may be what we ``said``, or are saying, on a line that
        ``echoes`` or has not done so yet."""
        if caller.started > self.playback.ends_at + echo.LAG:
            return text
        reply = self.reply
        ours = [*said, *([reply.text] if reply is not None else [])]
        suspicion = echo.KNOWN if echoes else echo.NONE
        if (
            reply is not None
            and reply.paused
            and caller.ended_within(echo.ENDS_WITHIN, self.playback.ends_at)
        ):
            suspicion = echo.IT_STOPPED_WITH_US
        return echo.without_echo(text, " ".join(ours), suspicion, language=self.language)

    def _question_heard(self, reply: AgentTurn) -> bool:
        """All but the last words of our reply have played: a "yes" answers its question."""
        if not reply.done or not reply.sentences:
            return False
        heard = len(self.playback.heard(reply.number).split())
        meant = sum(len(sentence.split()) for sentence in reply.sentences)
        return heard >= meant - len(reply.sentences[-1].split())
