"""A mail server in a container beside the stack. It keeps the mails that it received when the stack is killed."""

from tests.support.project import ROOT
from tests.support.stack import Stack, wait_until


class MailServer:
    """The program tests/support/smtp_sink.py in a container. It prints the Message-ID of each mail."""

    def __init__(self, stack: Stack, network: str, image: str) -> None:
        self._stack = stack
        self._image = image
        self.network = network
        self.name = f"{stack.prefix}_mail_server"
        self.url = f"smtp://{self.name}:2525"

    def start(self) -> None:
        """Start the server, and wait until it listens."""
        self.remove()
        self._stack.docker(
            # An empty label in place of the image's label, because this container does not belong to the stack.
            *(
                "run",
                "--detach",
                "--restart=unless-stopped",
                "--name",
                self.name,
                "--label=warren.stack=",
                "--network",
                self.network,
            ),
            *("--no-healthcheck", f"--volume={ROOT}/tests/support/smtp_sink.py:/smtp_sink.py:ro", self._image),
            *("python", "/smtp_sink.py"),
        )
        listens = ("exec", self.name, "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/2525 && echo yes")
        wait_until(lambda: self._stack.docker(*listens), 20, "the mail server listens")

    def remove(self) -> None:
        """Remove the server, with the mails that it received."""
        self._stack.docker("rm", "--force", self.name, check=False)

    def message_ids(self) -> list[str]:
        """Return the Message-IDs of the mails that the server received, in order."""
        return self._stack.docker("logs", self.name).split()
