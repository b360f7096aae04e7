"""Files as earlier versions left them: without a seal, and without the hashes of other files."""

import json

from nanoseg_bench.preparation.prepared_set import FILES
from nanoseg_bench.seals import SEAL


def rewrite(path, **changes):
    """Write a JSON document anew, with other values, as a version would that knew no seals."""
    document = json.loads(path.read_text(encoding="utf-8"))
    kept = {key: value for key, value in document.items() if key not in (SEAL, FILES)}
    path.write_text(json.dumps({**kept, **changes}), encoding="utf-8")
