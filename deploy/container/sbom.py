"""What an image holds of others, as CycloneDX 1.6: the lock's Python packages and the engine's JARs.

    python deploy/container/sbom.py > target/sbom.json

The same lock gives the same bytes: no clock and no random number is in it.
"""

import json
import re
import sys
import uuid
from typing import Any

from lakehouse.engine.jars import PINNED
from lakehouse.settings import PROJECT_ROOT


def python_packages(lock: str) -> list[dict[str, Any]]:
    """A component per pin of a requirements file."""
    pins = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", lock, flags=re.MULTILINE)
    return [
        {
            "type": "library",
            "bom-ref": (purl := f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}@{version}"),
            "name": name,
            "version": version,
            "purl": purl,
        }
        for name, version in pins
    ]


def jars(pinned: dict[str, str]) -> list[dict[str, Any]]:
    """A component per JAR, with its checksum."""
    split = [(*coordinate.split(":"), checksum) for coordinate, checksum in pinned.items()]
    return [
        {
            "type": "library",
            "bom-ref": (purl := f"pkg:maven/{group}/{name}@{version}"),
            "group": group,
            "name": name,
            "version": version,
            "hashes": [{"alg": "SHA-256", "content": checksum}],
            "purl": purl,
        }
        for group, name, version, checksum in split
    ]


def sbom() -> dict[str, Any]:
    """The whole document."""
    components = python_packages((PROJECT_ROOT / "requirements.lock").read_text()) + jars(PINNED)
    components.sort(key=lambda each: each["bom-ref"])
    told = json.dumps(components, sort_keys=True)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, told)}",
        "version": 1,
        "metadata": {"component": {"type": "container", "bom-ref": "lakehouse", "name": "lakehouse"}},
        "components": components,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(sbom(), indent=1) + "\n")
