"""Values as TOML writes them; what the standard library reads with ``tomllib``, it cannot write."""

import json
from typing import Any


def toml_key(key: str) -> str:
    """Bare where TOML allows it."""
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else json.dumps(key)


def toml_value(value: Any) -> str:
    """JSON's notation is TOML's for text, numbers, booleans and lists; tables are written inline."""
    if isinstance(value, dict) and value:
        return "{ " + ", ".join(f"{toml_key(key)} = {toml_value(each)}" for key, each in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)
