"""The gateway's own /api/health → exit code 0 when it answers, 1 otherwise; for the container's health check."""

import ssl
import sys
import urllib.request
from pathlib import Path

SECRETS = Path("/run/secrets")

trusted = ssl.create_default_context(cafile=SECRETS / "api_certificate")
request = urllib.request.Request("https://127.0.0.1:8800/api/health")
request.add_header("Authorization", f"Bearer {(SECRETS / 'api_token').read_text().strip()}")
# A proxy of the environment has no business with the token.
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusted))
try:
    opener.open(request, timeout=4).close()
except OSError as error:
    sys.exit(str(error))
