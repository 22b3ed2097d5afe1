"""A live chat page: people log in, read a group as it is written, and write; a bot rolls a die for them."""

import os
import random

from flask import Blueprint, Flask, current_app, jsonify, request, session

from connectycube import AuthenticationError, DialogType
from connectycube.contrib.flask import FlaskCube

cube = FlaskCube()
pages = Blueprint("pages", __name__)


def create_app():
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=os.environ["SECRET_KEY"],
        SESSION_COOKIE_SAMESITE="Strict",
        CONNECTYCUBE_LOGIN=os.environ["BOT_LOGIN"],
        CONNECTYCUBE_PASSWORD=os.environ["BOT_PASSWORD"],
        CONNECTYCUBE_RUN_FOLDER=os.environ["RUN_FOLDER"],
    )
    cube.init_app(app)
    app.register_blueprint(pages)
    app.register_error_handler(AuthenticationError, lambda error: ("Wrong login or password", 401))
    return app


def me():
    """The client of the page's user; the session has a token and no password."""
    return cube.client_for(token=session["token"], user_id=session["user_id"])


# --- the bot, in the listener ---


@cube.on("message_received", where=lambda message: message.body == "/roll")
def roll(chat, message):
    chat.reply(message, f"A {random.randint(1, 6)}")


# --- the page, in the web workers ---


@pages.get("/")
def index():
    return current_app.send_static_file("index.html")


@pages.post("/login")
def login():
    given = request.get_json()  # of another site a form cannot be JSON
    client = cube.client_for(login=str(given["login"]), password=str(given["password"]))
    session.update(token=client.session.token, user_id=client.user.id)
    return group()


@pages.get("/group")
def group():
    """The group of the page's user, and the names of its people; null if nobody is logged in."""
    if "token" not in session:
        return jsonify(None)
    client = me()
    (dialog,) = client.dialogs.list(type=DialogType.GROUP, limit=1)
    names = {user.id: user.full_name for user in client.dialogs.occupants(dialog)}
    return jsonify(id=dialog.id, name=dialog.name, me=session["user_id"], names=names)


@pages.post("/logout")
def logout():
    me().logout()
    session.clear()
    return "", 204


@pages.get("/stream/<dialog>")
def stream(dialog):
    return cube.stream(dialog, as_client=me(), history=50)


@pages.post("/messages/<dialog>")
def write(dialog):
    message = cube.send(dialog, str(request.get_json()["text"]), as_client=me())
    return jsonify(id=message.id)


@pages.after_request
def protect(response):
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:;"
        " form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    )
    return response
