"""`python -m benchmarks`: the suite, as `cxr bench` runs it."""

from benchmarks.cli import bench_app

bench_app(prog_name="python -m benchmarks")
