"""An outbound hook that notes the messages it sees."""

from simplysocket import Message


class Noting:
    """A hook that notes each message and returns it unchanged."""

    def __init__(self) -> None:
        self.seen: list[Message] = []

    def __call__(self, message: Message) -> Message | None:
        self.seen.append(message)
        return message

    def take(self) -> list[str]:
        """Return the actions that were seen since the last call."""
        actions = [message.action for message in self.seen]
        self.seen.clear()
        return actions
