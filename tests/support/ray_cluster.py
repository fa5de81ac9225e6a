"""A Ray cluster of two nodes of this machine with engines and a codec on fakes, as a process of its own.

`python -m tests.support.ray_cluster`: arguments as JSON on the command line; says the address on standard output once
all is deployed, and ends with its standard input. Ray reads `RAY_AUTH_MODE` when it is imported: tests set it for this
process alone.
"""

import json
import sys
from typing import Any


def main(arguments: dict[str, Any]) -> None:
    """Serve `fake` engines with these options until the input ends."""
    import ray
    from ray import serve
    from ray.cluster_utils import Cluster

    import app.scale.application as application

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    cluster.add_node(num_cpus=2)
    ray.init(address=cluster.address, namespace="cxr", logging_level="ERROR", log_to_driver=False)
    engines = application.engine(application.EngineArguments(fake=arguments, num_gpus=0.0, num_cpus=0.2))
    serve.run(engines, name="cxr-engine", route_prefix=None)
    codecs = application.codec(application.CodecArguments(fake=True, num_cpus=0.1))
    serve.run(codecs, name="cxr-codec", route_prefix=None)
    print(f"address {cluster.address}", flush=True)
    sys.stdin.read()
    serve.shutdown()
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
