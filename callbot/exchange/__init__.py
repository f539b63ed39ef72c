"""A telephone network on your machine: Twilio's protocols from the other side.

It knows nothing of the bot and imports nothing of it, so that the bot cannot tell it from the carrier.
"""
