"""The gateway's own /api/health → exit code 0 when it answers, 1 otherwise; for the container's health check."""

import sys
import urllib.request
from pathlib import Path

TOKEN = Path("/run/secrets/api_token")

request = urllib.request.Request("http://127.0.0.1:8800/api/health")
if TOKEN.exists():
    request.add_header("Authorization", f"Bearer {TOKEN.read_text().strip()}")
try:
    urllib.request.urlopen(request, timeout=4).close()
except OSError as error:
    sys.exit(str(error))
