"""boto3 clients for an endpoint on this machine, and for nothing else.

Whatever AWS set-up the caller has (keys, profile, endpoint, proxies) is left alone and not read. Only an endpoint with
HTTPS is trusted by the CA bundle that AWS_CA_BUNDLE names: an emulator's certificate is seldom one of the world's.
"""

from __future__ import annotations

import functools
import os
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config
from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES

from invalidations_cli.local.loopback import is_loopback
from invalidations_cli.local.settings import ACCOUNT, REGION

SECRET = "local"  # noqa: S105 - ministack accepts any secret for an account's root key
CONFIG = Config(proxies={}, retries={"mode": "standard", "total_max_attempts": 3}, max_pool_connections=25)


class NotThisMachine(Exception):
    """The endpoint is not on loopback."""


class LocalAws:
    """Clients for one endpoint, as the root user of the local account."""

    def __init__(self, endpoint: str) -> None:
        """Take an endpoint such as `http://127.0.0.1:4566`; raises NotThisMachine for any other machine's."""
        if not is_loopback(urlsplit(endpoint).hostname):
            raise NotThisMachine(f"{endpoint} is not on this machine, and only a local endpoint may be used here.")
        self.endpoint = endpoint
        self.session = boto3.Session(
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key=SECRET,
            region_name=REGION,
            botocore_session=botocore.session.Session(session_vars=defaults_only()),
        )
        self.client = functools.cache(self.new_client)

    def new_client(self, service: str) -> Any:
        verify = os.environ.get("AWS_CA_BUNDLE") if self.endpoint.startswith("https:") else None
        return self.session.client(service, endpoint_url=self.endpoint, config=CONFIG, verify=verify)  # type: ignore[call-overload] # any service


def defaults_only() -> dict[str, tuple[None, None, Any, Any]]:
    """LocalSettings of botocore with nothing to read them from."""
    settings = {
        name: (None, None, default, convert)
        for name, (_file, _variable, default, convert) in BOTOCORE_DEFAUT_SESSION_VARIABLES.items()
    }
    for file in ("config_file", "credentials_file"):
        settings[file] = (None, None, os.devnull, None)
    return settings
