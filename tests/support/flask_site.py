"""A site of Flask, made by a factory: pages, a form and a bot that answers."""

from __future__ import annotations

import os

from flask import Flask, request

from connectycube.contrib.flask import FlaskCube

cube = FlaskCube()


def create_app() -> Flask:
    """Make the application; its bot logs in with LOGIN and PASSWORD of the environment."""
    app = Flask(__name__)
    app.config.update(
        CONNECTYCUBE_LOGIN=os.environ["LOGIN"],
        CONNECTYCUBE_PASSWORD=os.environ["PASSWORD"],
        CONNECTYCUBE_RUN_FOLDER=os.environ["RUN_FOLDER"],
        CONNECTYCUBE_STREAM_POLL=0.5,
    )
    if "DURABLE" in os.environ:
        app.config["CONNECTYCUBE_DURABLE"] = os.environ["DURABLE"]
    cube.init_app(app)
    if "CLIENT_AT_IMPORT" in os.environ:
        with app.app_context():
            assert cube.client.user is not None

    @app.get("/state")
    def state() -> str:
        return str(os.getpid())

    @app.get("/stream/<dialog>")
    def stream(dialog: str):
        client = cube.client_for(login=request.args["as"], password="a password")
        return cube.stream(dialog, as_client=client, history=20)

    @app.post("/send/<dialog>")
    def send(dialog: str) -> str:
        client = cube.client_for(login=request.args["as"], password="a password")
        return str(cube.send(dialog, request.get_data(as_text=True), as_client=client).id)

    @app.get("/user/<int:number>")
    def user(number: int) -> str:
        return str(cube.client.users.get(number).id)

    @app.teardown_appcontext
    def note(error: BaseException | None) -> None:
        if error is not None:
            print("teardown after", type(error).__name__, flush=True)

    return app


@cube.on("message_received", where=lambda message: message.recipient_id is not None)
def answer(chat, message) -> None:
    """Answer a private message."""
    if message.body == "fail":
        raise ValueError(message.body)
    chat.reply(message, f"you said {message.body}")
