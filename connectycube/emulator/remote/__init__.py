"""Remote control: the verbs of ``Emulator`` over HTTP, for programs in other languages."""
