"""The document ``docs/openapi.json``. ``python -m streams.api.openapi_page``."""

import json
import sys
import tempfile
from pathlib import Path

from streams.api.server import Api
from streams.api.store import Store
from streams.api.tokens import Tokens
from streams.settings import load


def page() -> str:
    """The document as text, as the API serves it under ``/openapi.json``."""
    with tempfile.TemporaryDirectory(prefix="rillet-openapi-") as folder:
        store = Store(Path(folder))
        try:
            document = Api(load(environ={}), Tokens({}), store).document()
        finally:
            store.close()
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
