"""Engine and codec as deployments of Ray Serve, and the service's side of them. Nothing else imports Ray.

The gateway stays a process of its own: HTTP, DIMSE, studies, keys, audit and metrics are as without Ray.
"""

import os

# Ray reads them when it is imported. gRPC between gateway and replica costs a third of what Ray's object store does.
for _name, _value in (("RAY_SERVE_THROUGHPUT_OPTIMIZED", "1"), ("RAY_USAGE_STATS_ENABLED", "0")):
    os.environ.setdefault(_name, _value)
