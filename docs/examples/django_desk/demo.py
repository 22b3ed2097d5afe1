"""The demo: makes the tables and three users, then runs the bot and the web server until Ctrl-C."""

import os
import secrets
import signal
import subprocess
import sys

import django
from django.core.management import call_command

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "desk.settings")
django.setup()
call_command("migrate", verbosity=0)

from django.contrib.auth import get_user_model  # noqa: E402 - the application must be ready

address = f"127.0.0.1:{os.environ.get('PORT', '8000')}"
password = secrets.token_urlsafe(6)
make = get_user_model().objects.create_user
make("admin", password=password, first_name="Olga", is_staff=True, is_superuser=True)
make("ben", password=password, first_name="Ben", is_staff=True)
make("ann", password=password, first_name="Ann", last_name="Lee")
print(
    f"customers  http://{address}/        as a guest, or log in as ann\n"
    f"agents     http://{address}/desk/   as admin or ben\n"
    f"admin      http://{address}/admin/  as admin\n"
    f"password   {password}",
    flush=True,
)

signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
processes = [
    subprocess.Popen([sys.executable, "manage.py", *words])
    for words in (["connectycube_listen"], ["runserver", "--noreload", address])
]
status = 1  # if one of them ends by itself
try:
    os.wait()
except KeyboardInterrupt:
    status = 0
finally:
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait()
sys.exit(status)
