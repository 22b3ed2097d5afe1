"""What this documentation adds to Sphinx: the reference, links from code to it, and tables for telephones."""

from __future__ import annotations

import re
from typing import Any

import entries
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.writers.html5 import HTML5Translator

_SIGNALS = "```{signals}\n```"
_COMMANDS = "```{commands}\n```"
_SERVICES = {
    "sessions": "connectycube.rest.sessions.Sessions",
    "users": "connectycube.rest.Users",
    "dialogs": "connectycube.rest.Dialogs",
    "messages": "connectycube.rest.Messages",
    "files": "connectycube.rest.Files",
    "push": "connectycube.rest.Push",
    "address_book": "connectycube.rest.AddressBook",
    "custom_objects": "connectycube.rest.CustomObjects",
    "meetings": "connectycube.rest.meetings.Meetings",
    "calls": "connectycube.rest.calls.Calls",
}
VARIABLES = {
    "cube": "connectycube.ConnectyCube",
    "chat": "connectycube.Chat",
    "cube.chat": "connectycube.Chat",
    "bot.chat": "connectycube.Chat",
    "fleet": "connectycube.Fleet",
    "handle": "connectycube.SendHandle",
    "message": "connectycube.Message",
    "emulator": "connectycube.emulator.Emulator",
    "emulator.clock": "connectycube.emulator.EmulatorClock",
    "handover": "connectycube.contrib.desktop.Handover",
    "relay": "connectycube.contrib.relay.Relay",
    "context": "connectycube.contrib.relay.Context",
    "Config.limits": "connectycube.Limits",
    "Config.timeouts": "connectycube.Timeouts",
    "chat.contacts": "connectycube.chat.contacts.Contacts",
    "contacts": "connectycube.chat.contacts.Contacts",
    "chat.privacy": "connectycube.chat.privacy.Privacy",
    **_SERVICES,
    **{f"cube.{name}": of for name, of in _SERVICES.items()},
}
"""What the names of variables are in all pages: ``cube.messages.list(…)`` is a method of Messages."""

_CHAT = ("connectycube.Chat",)
METHODS_OF = {
    "chat": (*_CHAT, "connectycube.SendHandle", "connectycube.Signal"),
    "desktop": ("connectycube.contrib.desktop.Handover", *_CHAT),
    "emulator": ("connectycube.emulator.Emulator",),
    "fleet": ("connectycube.Fleet",),
    **dict.fromkeys(("design", "processes", "security", "troubleshooting"), _CHAT),
}
"""The classes whose methods a page, or a page of this folder, calls without an object: ``logout()``."""

_FLASK = {"cube": "connectycube.contrib.flask.FlaskCube"}
OF_PAGES = {"flask": _FLASK, "examples/flask_live/index": _FLASK}
"""What they are on one page alone."""

_SIGNALS_OF = ("connectycube.Chat.", "connectycube.Fleet.")
_INHERITED = "connectycube.chat.chat_signals.ChatSignals."


def expand(app: Sphinx, page: str, source: list[str]) -> None:
    """Put the entries where a page of the reference lists their names."""
    if page.startswith("reference/"):
        text = entries.BLOCK.sub(
            lambda found: _restructured(entries.block(found["module"], found["names"])),
            source[0],
        )
        text = (
            text.replace(_SIGNALS, _restructured(entries.signals())) if _SIGNALS in text else text
        )
        source[0] = text.replace(_COMMANDS, _commands()) if _COMMANDS in text else text


def _commands() -> str:
    return "\n\n".join(
        f"## {name}\n\n{_restructured(text)}" for name, text in entries.commands().items()
    )


def _restructured(text: str) -> str:
    return f"`````{{eval-rst}}\n{text}\n`````"


# --- links from code --------------------------------------------------------------------------------


def target_of(code: str, page: str = "") -> str:
    """Return the full name that inline code on a page means, as far as it has the form of one."""
    name = code.partition("(")[0].strip().removeprefix("await ")
    if not re.fullmatch(r"[A-Za-z_][\w.]*", name):
        return ""
    owner, _, member = name.rpartition(".")
    variables = {**VARIABLES, **OF_PAGES.get(page, {})}
    if owner in variables:
        whole = f"{variables[owner]}.{member}"
        return _INHERITED + member if whole in (f"{of}around" for of in _SIGNALS_OF) else whole
    first, _, rest = name.partition(".")
    known = entries.known()
    return ".".join(filter(None, (known.get(first, first), rest)))


class CodeLinks(SphinxPostTransform):
    """Makes inline code that names an entry of the reference a link to it; a code host shows it as code."""

    default_priority = 5

    def run(self, **kwargs: Any) -> None:
        """Replace the code of one page."""
        objects = self.env.domains["py"].data["objects"]
        signals = {name.rpartition(".")[2]: name for name in objects if _is_signal(objects, name)}
        for code in list(self.document.findall(nodes.literal)):
            parents = (nodes.reference, nodes.title, addnodes.pending_xref, addnodes.desc_signature)
            if any(isinstance(each, parents) for each in _above(code)):
                continue
            name = target_of(code.astext(), self.env.docname)
            names = (name, *self._methods(code), signals.get(name.partition(".")[0], ""))
            name = next((each for each in names if each in objects), "")
            if name:
                code.replace_self(self._link(code, name, objects[name]))

    def _methods(self, code: nodes.literal) -> list[str]:
        """Return the methods that a call without an object may mean."""
        call = re.match(r"(\w+)\(", code.astext())
        if call is None:
            return []
        sections = [name.replace("-", "_") for each in _above(code) for name in each.get("ids", ())]
        services = [_SERVICES[name] for name in sections if name in _SERVICES]
        page = self.env.docname
        owners = (*services, *METHODS_OF.get(page.partition("/")[0], ()))
        return [f"{owner}.{call[1]}" for owner in owners]

    def _link(self, code: nodes.literal, name: str, entry: Any) -> nodes.Node:
        builder = self.app.builder
        link = nodes.reference("", "", code.deepcopy(), internal=True, reftitle=name)
        uri = builder.get_relative_uri(self.env.docname, entry.docname)
        link["refuri"] = f"{uri}#{entry.node_id}"
        return link


def _is_signal(objects: Any, name: str) -> bool:
    return objects[name].objtype == "attribute" and name.startswith("connectycube.Chat.")


def _above(node: nodes.Node) -> list[nodes.Node]:
    found = []
    while node.parent is not None:
        node = node.parent
        found.append(node)
    return found


# --- tables that are lists on a telephone -----------------------------------------------------------


class Translator(HTML5Translator):
    """Writes the head of its column into each cell, for the style sheet."""

    def starttag(
        self, node: Any, tagname: str, suffix: str = "\n", empty: bool = False, **attributes: Any
    ) -> str:
        """Return an opening tag."""
        if tagname == "td" and node.get("head"):
            attributes["data-head"] = node["head"]
        return super().starttag(node, tagname, suffix, empty, **attributes)


_LONG, _MANY = 24, 7


def name_columns(app: Sphinx, document: nodes.document, page: str) -> None:
    """Note in each cell what stands at the head of its column; mark tables and code that need room."""
    for table in document.findall(nodes.table):
        heads = [
            cell.astext()
            for head in table.findall(nodes.thead)
            for cell in head.findall(nodes.entry)
        ]
        if len(heads) >= _MANY:
            table["classes"].append("many")
        for body in table.findall(nodes.tbody):
            for row in body.findall(nodes.row):
                for head, cell in zip(heads, row.findall(nodes.entry), strict=False):
                    cell["head"] = head
        for code in table.findall(nodes.literal):
            if max(map(len, code.astext().split()), default=0) > _LONG:
                code["classes"].append("long")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect all of it."""
    app.connect("source-read", expand)
    app.connect("doctree-resolved", name_columns)
    app.add_post_transform(CodeLinks)
    app.set_translator("html", Translator)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
