"""Remote control: the verbs of ``Emulator`` and its events over HTTP, for other languages and the page."""
