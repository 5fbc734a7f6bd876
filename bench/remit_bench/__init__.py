"""Benchmarks: each path of Remit beside its peer or its limit in the same run, as a ratio."""
