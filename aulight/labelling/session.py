"""A coder's session: the page is served, and the label table written at its end."""

from pathlib import Path
from typing import Literal

from aulight.labelling.address import keep_address, last_address, listen, page_address
from aulight.labelling.app import make_app
from aulight.labelling.desk import Desk
from aulight.labelling.export import Exported, export, files_of, refuse_others
from aulight.labelling.opening import Opened
from aulight.labelling.serving import serve, show
from aulight.preparation.coding import next_command


class Session:
    """A page that is ready to be served.

    Args:
        opened: The sample.
        coder: Who codes.
        output: The label table.
        differing: What to do where coders differ and there is no consensus.
        port: Where; 0: as the last time, or any that is free.

    Raises:
        AulightError: When the table is there and was not written so, or the port is taken.
    """

    def __init__(
        self, opened: Opened, coder: str, output: Path, differing: Literal["empty", "median"], port: int
    ) -> None:
        self._opened, self._output, self._differing = opened, output, differing
        output.parent.mkdir(parents=True, exist_ok=True)
        refuse_others(opened.store, files_of(output))
        token, before = last_address(opened.sample.folder, coder)
        self._socket = listen(port, before)
        keep_address(opened.sample.folder, coder, token, self._socket.getsockname()[1])
        self._app = make_app(Desk(opened.data, opened.sample, opened.store, coder, self.export), token)
        self.address = page_address(opened.sample.folder, coder)
        self.next_command = next_command(opened.data, output)

    def run(self, browser: bool) -> None:
        """Serves the page until Ctrl-C.

        Args:
            browser: Whether to open it in the browser.
        """
        if browser:
            show(self.address)
        serve(self._app, self._socket)

    def export(self) -> Exported:
        """Writes the label table of all coders."""
        return export(self._opened.store, self._output, self._differing)
