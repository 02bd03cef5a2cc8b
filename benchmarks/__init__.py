"""Figures of speed and memory: `python -m benchmarks` measures them and writes them into docs/benchmarks.md."""
