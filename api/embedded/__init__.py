"""PostgreSQL that comes with the service: its programs from a wheel, its data under the data folder.

`acquire` starts the server or finds it running and gives a `Lease`; when the last lease of all processes is gone, by
`close` or by death, the server stops. A small process of its own, the keeper, sees to that (see `keeper`).
Only the standard library is imported here: the keeper must start in milliseconds.
"""

from api.embedded.errors import EmbeddedError
from api.embedded.layout import tools
from api.embedded.lease import Lease, acquire

__all__ = ["EmbeddedError", "Lease", "acquire", "tools"]
