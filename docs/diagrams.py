"""Draws the diagrams of docs/explanation: ``python docs/diagrams.py``, or ``make docs``.

Plain SVG, written by this file alone. The diagrams are as wide as a telephone, and their colours follow the
reader's choice of light or dark, on a ground of their own. That of the states is drawn from the table of the
connection: a change without a line here is an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from attrs import define, field
from plots import _DARK_OF

from connectycube import ChatState
from connectycube.chat.protocol.states import READY_STATES, TRANSITIONS

FOLDER = Path(__file__).parent / "explanation"
WIDTH = 372
_GROUND, _TEXT, _GRID, _GOOD, _MISSED, _FRAME, *_ = _DARK_OF
_COLOURS = {
    "ground": _GROUND,
    "text": _TEXT,
    "grid": _GRID,
    "good": _GOOD,
    "warm": _MISSED,
    "frame": _FRAME,
}
_S = ChatState
Point = tuple[float, float]


@define
class Drawing:
    """A diagram: elements of SVG, the later ones on top."""

    title: str
    height: int
    parts: list[str] = field(factory=list)

    def box(
        self,
        centre: Point,
        size: Point,
        text: str,
        *,
        kind: str = "text",
        small: str = "",
        style: str = "name",
    ) -> None:
        """Draw a box with its name, and a second text in small letters; a line feed begins a line."""
        (x, y), (width, height) = centre, size
        self.parts.append(
            f'<rect x="{x - width / 2:g}" y="{y - height / 2:g}" width="{width:g}" height="{height:g}"'
            f' rx="4" class="box {kind}"/>'
        )
        lines = [(line, style) for line in text.split("\n")]
        lines += [(line, "small") for line in small.split("\n") if line]
        for number, (line, kind_of_text) in enumerate(lines):
            self.text((x, y + 4 + 13 * (number - (len(lines) - 1) / 2)), line, kind_of_text)

    def text(self, at: Point, text: str, style: str = "small", anchor: str = "middle") -> None:
        """Write a line; ``at`` is its middle, or its beginning with ``anchor="start"``."""
        self.parts.append(
            f'<text x="{at[0]:g}" y="{at[1]:g}" class="{style}" text-anchor="{anchor}">{escape(text)}</text>'
        )

    def line(
        self, points: Sequence[Point], *, title: str = "", style: str = "", head: bool = True
    ) -> None:
        """Draw a line through points, with an arrow at its end."""
        path = " ".join(
            f"{'L' if number else 'M'}{x:g} {y:g}" for number, (x, y) in enumerate(points)
        )
        told = f"<title>{escape(title)}</title>" if title else ""
        end = ' marker-end="url(#head)"' if head else ""
        self.parts.append(f'<path d="{path}" class="{f"edge {style}".strip()}"{end}>{told}</path>')

    def frame(self, corner: Point, size: Point) -> None:
        """Draw a frame around several boxes."""
        self.parts.append(
            f'<rect x="{corner[0]:g}" y="{corner[1]:g}" width="{size[0]:g}" height="{size[1]:g}" rx="8"'
            ' class="frame"/>'
        )

    def svg(self) -> str:
        """Return the whole file."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}" width="{WIDTH}"'
            f' height="{self.height}" role="img">\n<title>{escape(self.title)}</title>\n'
            f"<style>{_style()}</style>\n"
            '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"'
            ' orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" class="head"/></marker></defs>\n'
            f'<rect width="{WIDTH}" height="{self.height}" rx="6" class="ground"/>\n'
        )
        return head + "\n".join(self.parts) + "\n</svg>\n"


def _style() -> str:
    rules = (
        "text{font-family:system-ui,sans-serif;fill:var(--text)}"
        ".name{font-size:10.5px;font-weight:600}.state{font-size:9.5px;font-weight:600}.small{font-size:10px}"
        ".ground{fill:var(--ground)}.box{fill:var(--ground);stroke-width:1.3}"
        ".box.text{stroke:var(--text)}.box.good{stroke:var(--good);stroke-width:2.2}"
        ".box.warm{stroke:var(--warm)}.box.frame{stroke:var(--frame)}.box.grid{stroke:var(--grid)}"
        ".frame{fill:none;stroke:var(--frame);stroke-dasharray:5 4;stroke-width:1.2}"
        ".edge{fill:none;stroke:var(--text);stroke-width:1.1}.edge.back{stroke-dasharray:4 3}"
        ".edge.life{stroke:var(--grid)}.edge.out{stroke:var(--frame)}"
        ".head{fill:var(--text)}.under{fill:var(--ground)}"
    )
    light = "".join(f"--{name}:{colour};" for name, colour in _COLOURS.items())
    dark = "".join(f"--{name}:{_DARK_OF[colour]};" for name, colour in _COLOURS.items())
    return f":root{{{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}{rules}"


# --- the states -------------------------------------------------------------------------------------

_PLACES: dict[ChatState, tuple[Point, float]] = {
    _S.CONNECTING: ((66, 64), 96),
    _S.RECONNECTING: ((176, 64), 104),
    _S.AUTHENTICATED: ((121, 154), 104),
    _S.READY: ((66, 244), 70),
    _S.RESUMED: ((176, 244), 70),
    _S.FORCE_CLOSED: ((121, 334), 104),
    _S.IDLE: ((318, 64), 96),
    _S.AUTHENTICATION_FAILURE: ((304, 154), 104),
    _S.CLOSED: ((318, 244), 96),
    _S.CLOSING: ((318, 334), 96),
}
"""The middle and the width of each state."""

_ROUTES: dict[tuple[ChatState, ChatState], tuple[Point, ...]] = {
    (_S.IDLE, _S.CONNECTING): ((318, 50), (318, 24), (66, 24), (66, 50)),
    (_S.CONNECTING, _S.AUTHENTICATED): ((50, 78), (50, 154), (69, 154)),
    (_S.CONNECTING, _S.AUTHENTICATION_FAILURE): ((92, 78), (92, 106), (296, 106), (296, 136)),
    (_S.CONNECTING, _S.FORCE_CLOSED): ((24, 78), (24, 334), (69, 334)),
    (_S.RECONNECTING, _S.AUTHENTICATED): ((190, 78), (190, 154), (173, 154)),
    (_S.RECONNECTING, _S.AUTHENTICATION_FAILURE): ((150, 78), (150, 106), (296, 106), (296, 136)),
    (_S.RECONNECTING, _S.FORCE_CLOSED): ((216, 78), (216, 341), (173, 341)),
    (_S.AUTHENTICATED, _S.READY): ((85, 168), (85, 230)),
    (_S.AUTHENTICATED, _S.RESUMED): ((157, 168), (157, 230)),
    (_S.AUTHENTICATED, _S.FORCE_CLOSED): ((121, 168), (121, 320)),
    (_S.AUTHENTICATION_FAILURE, _S.CLOSED): ((308, 172), (308, 230)),
    (_S.READY, _S.FORCE_CLOSED): ((85, 258), (85, 320)),
    (_S.RESUMED, _S.FORCE_CLOSED): ((157, 258), (157, 320)),
    (_S.FORCE_CLOSED, _S.RECONNECTING): ((173, 327), (224, 327), (224, 78)),
    (_S.FORCE_CLOSED, _S.CLOSED): ((150, 348), (150, 396), (258, 396), (258, 250), (270, 250)),
    (_S.CLOSING, _S.CLOSED): ((318, 320), (318, 258)),
    (_S.CLOSED, _S.CONNECTING): ((270, 238), (250, 238), (250, 24), (66, 24), (66, 50)),
    (_S.CLOSED, _S.RECONNECTING): ((270, 244), (243, 244), (243, 64), (228, 64)),
    (_S.CLOSED, _S.IDLE): ((360, 230), (360, 78)),
}
"""The points of each line; those to CLOSING are one line, from the frame around the states before it."""

_LEADS_OUT = frozenset(
    {_S.CONNECTING, _S.RECONNECTING, _S.AUTHENTICATED, _S.READY, _S.RESUMED, _S.FORCE_CLOSED}
)
"""The states in the frame: a logout leads from each of them to CLOSING."""


def draw_states(transitions: Mapping[ChatState, frozenset[ChatState]]) -> str:
    """Draw the states and the changes of a table; ValueError if a change has no line, or a line no change."""
    changes = {(before, after) for before, followers in transitions.items() for after in followers}
    drawn = {*_ROUTES, *((state, _S.CLOSING) for state in _LEADS_OUT)}
    if changes != drawn:
        odd = sorted(f"{before.name} → {after.name}" for before, after in changes ^ drawn)
        raise ValueError(f"docs/diagrams.py and the table of states differ: {', '.join(odd)}")
    drawing = Drawing("The states of a chat connection and the changes between them", 408)
    drawing.frame((8, 38), (226, 342))
    for (before, after), points in _ROUTES.items():
        drawing.line(points, title=f"{before.name} to {after.name}")
    out = ", ".join(state.name for state in TRANSITIONS if state in _LEADS_OUT)
    drawing.line(((234, 334), (270, 334)), title=f"{out} to CLOSING", style="out")
    for state, (centre, width) in _PLACES.items():
        name = state.name.replace("_FAILURE", "_\nFAILURE")
        is_tall = "\n" in name
        kind = "good" if state in READY_STATES else "text"
        drawing.box(centre, (width, 36 if is_tall else 28), name, kind=kind, style="state")
    drawing.text((190, 19), "login()")
    drawing.text((20, 370), "logout() from each", anchor="start")
    drawing.text((355, 98), "destroy()", anchor="end")
    drawing.text((262, 222), "relogin()", anchor="start")
    return drawing.svg()


# --- the threads ------------------------------------------------------------------------------------


def draw_threads() -> str:
    """Draw who reads the socket, where events wait, and who calls the receivers."""
    drawing = Drawing(
        "The threads of a chat connection, and the way of an event to a receiver", 430
    )
    drawing.box((186, 34), (340, 32), "chat server", kind="frame")
    drawing.line(((90, 50), (90, 90)))
    drawing.line(((120, 90), (120, 50)))
    drawing.text((132, 74), "TLS socket", anchor="start")
    drawing.box(
        (105, 122),
        (178, 60),
        "connection thread",
        small="reads, writes, comes back;\nnever calls your code",
    )
    drawing.line(((288, 90), (288, 50)))
    drawing.box(
        (288, 122),
        (136, 60),
        "your threads",
        small="chat.send_private(…)\nhandle.result()",
        kind="good",
    )
    drawing.line(((222, 122), (194, 122)), style="back")
    drawing.line(((105, 152), (105, 178)))
    drawing.text((117, 170), "events", anchor="start")
    drawing.frame((16, 180), (340, 104))
    drawing.text((26, 196), "queue with bounds: one row for each conversation", anchor="start")
    for row, (name, waiting) in enumerate((("user 17", 3), ("user 42", 1), ("room 5f…", 4))):
        y = 214 + 24 * row
        drawing.text((26, y + 4), name, anchor="start")
        for place in range(waiting):
            drawing.box((104 + 40 * place, y), (32, 16), "", kind="text")
    for x in (105, 267):
        drawing.line(((x, 284), (x, 312)))
    drawing.box((105, 340), (156, 54), "worker 1", small="one event of a\nconversation at a time")
    drawing.box((267, 340), (156, 54), "worker 2", small="if Config.workers\nis 2 or more")
    for x in (105, 267):
        drawing.line(((x, 367), (x, 388)))
    drawing.box((186, 404), (340, 28), "your receivers: receiver(chat, event)", kind="good")
    return drawing.svg()


# --- the life of a message --------------------------------------------------------------------------

_LIVES = {
    "program": (36, "your\nprogram", "good"),
    "sender": (110, "connection", "text"),
    "server": (186, "server", "frame"),
    "recipient": (262, "connection", "text"),
    "receivers": (336, "their\nreceivers", "good"),
}
"""The columns: where, what it is called, and its colour."""

_STEPS = (
    ("program", "sender", "send_private()", ""),
    ("sender", "program", "SendHandle", "back"),
    ("sender", "server", "message", ""),
    ("server", "sender", "acknowledged", "back"),
    ("sender", "program", "message_sent", ""),
    ("server", "recipient", "message", ""),
    ("recipient", "recipient", "into the queue", ""),
    ("recipient", "server", "acknowledged", "back"),
    ("recipient", "sender", "delivered", ""),
    ("sender", "program", "message_delivered", ""),
    ("recipient", "receivers", "message_received", ""),
    ("receivers", "recipient", "mark_read()", ""),
    ("recipient", "sender", "read", ""),
    ("sender", "program", "message_read", ""),
)
"""What follows what: from, to, what it is, and its style."""


def draw_messages() -> str:
    """Draw the way of a message to the receivers, and of its acknowledgements back."""
    first, step = 78, 30
    height = first + step * len(_STEPS) - 6
    drawing = Drawing(
        "The life of a message, from the call that sends it to the mark that it was read", height
    )
    for x, _, _ in _LIVES.values():
        drawing.line(((x, 46), (x, height - 10)), style="life", head=False)
    for x, name, kind in _LIVES.values():
        drawing.box((x, 28), (68, 36), name, kind=kind)
    for number, (start, end, text, style) in enumerate(_STEPS):
        y = first + step * number
        here, there = _LIVES[start][0], _LIVES[end][0]
        middle = (here + there) / 2
        room = 5.6 * len(text) + 6
        middle = min(max(middle, room / 2 + 4), WIDTH - room / 2 - 4)
        drawing.parts.append(
            f'<rect x="{middle - room / 2:g}" y="{y - 15:g}" width="{room:g}" height="13" class="under"/>'
        )
        drawing.text((middle, y - 5), text)
        if here != there:
            drawing.line(((here, y), (there, y)), style=style)
    return drawing.svg()


DRAWINGS = {
    "states.svg": lambda: draw_states(TRANSITIONS),
    "threads.svg": draw_threads,
    "messages.svg": draw_messages,
}


def main() -> None:
    """Draw all of them."""
    for name, draw in DRAWINGS.items():
        (FOLDER / name).write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main()
