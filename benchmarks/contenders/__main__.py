"""Runs one contender, which is imported only once stdout is out of its reach and the number of threads is set."""

import argparse
import os
from functools import partial
from pathlib import Path

from benchmarks.contenders import protocol


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--bundle", type=Path, required=True, help="folder of the model bundle")
    common.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    common.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="CPU threads")
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.contenders", description="What the service is measured against."
    )
    contenders = parser.add_subparsers(dest="contender", required=True)
    raw = contenders.add_parser("raw", parents=[common], help="vLLM's offline LLM.generate, one batched decode")
    raw.add_argument("--plain", action="store_true", help="vLLM's own class of the model, sampler and mask")
    raw.add_argument("--eager", action="store_true", help="do not compile")
    raw.add_argument("--max-num-seqs", type=int, default=64)
    raw.add_argument("--gpu-memory-utilization", type=float, default=0.85)
    raw.add_argument("--cache", type=Path, default=Path("out/bench/cache"), help="folder of compiled kernels")
    reference = contenders.add_parser("reference", parents=[common], help="Hugging Face generate, batch 1")
    reference.add_argument("--unmasked", action="store_true", help="retry until an attempt holds a whole image")
    static = contenders.add_parser("static-batching", parents=[common], help="LitServe over Hugging Face generate")
    static.add_argument("--port", type=int, required=True)
    static.add_argument("--temperature", type=float, default=1.0)
    static.add_argument("--top-p", type=float, default=0.92)
    static.add_argument("--no-decode", action="store_true", help="answer codes alone")
    return parser


def main() -> None:
    """Run the contender that the command line names."""
    options = _parser().parse_args()
    channel = protocol.claim_stdout()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    if options.contender == "static-batching":
        from benchmarks.contenders import static_batching

        api = static_batching.StaticBatches(
            options.bundle,
            options.threads,
            temperature=options.temperature,
            top_p=options.top_p,
            decode=not options.no_decode,
        )
        static_batching.serve(api, options.device, options.port)
        return
    protocol.serve(partial(_load, options), channel)


def _load(options: argparse.Namespace) -> protocol.Opened:
    import torch

    from models.bundle import load

    torch.set_num_threads(options.threads)
    bundle = load(options.bundle)
    if options.contender == "raw":
        from app.settings import EngineSettings
        from benchmarks.contenders import raw

        settings = EngineSettings(
            enforce_eager=options.eager,
            max_num_seqs=options.max_num_seqs,
            gpu_memory_utilization=options.gpu_memory_utilization,
        )
        return raw.opened(bundle, options.device, settings, options.cache, plain=options.plain)
    from benchmarks.contenders import reference

    return reference.opened(bundle, options.device, unmasked=options.unmasked)


if __name__ == "__main__":
    main()
