"""The commands of ``manage.py``: connectycube_listen and others."""
