"""Find out why something does not work: each step to the service, and what to do where one fails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .failure import Failure
from .output import Output
from .printable import printable
from .shell import Shell, command, pass_shell

if TYPE_CHECKING:
    from connectycube.contrib.common.doctor import Finding

__all__ = ["doctor"]

_STYLES = {"ok": "good", "warning": "careful", "failed": "bad"}


@command()
@pass_shell
def doctor(shell: Shell) -> None:
    """Look at each step to the service, and say what to do where one fails.

    Names and addresses, the certificates, the clock of this machine, REST, the login, the chat and the
    storage of files. For the last, a small file is uploaded, downloaded and deleted again. The exit status
    is 1 if a step has failed.
    """
    from attrs import asdict

    output = shell.output
    failed = 0
    for finding in _findings(shell):
        failed += finding.state == "failed"
        output.show(asdict(finding), _line(output, finding.state, finding.what, finding.why))
        if finding.hint and not output.as_json:
            output.line(f"         {printable(finding.hint)}")
    if failed:
        raise Failure(f"{failed} failed")


def _findings(shell: Shell) -> Iterator[Finding]:
    from connectycube.contrib.common.doctor import Finding, examine_service

    from .account import NotLoggedInError, account_of, application_of, patient

    log_in = None
    try:
        account = account_of(shell.profiles, shell.profile)
    except NotLoggedInError as error:
        config = application_of(shell.profiles, shell.profile)
        if config is None:
            raise
        yield Finding("profile", "warning", str(error))
    else:
        config, log_in = account.config, account.log_in
        yield Finding("profile", "ok", account.name)
    yield from examine_service(patient(config, shell.timeout), log_in, storage=True)


def _line(output: Output, state: str, what: str, why: str) -> str:
    text = f"{what}: {why}" if why else what
    return f"{output.styled(f'{state:8}', _STYLES[state])} {printable(text)}"
