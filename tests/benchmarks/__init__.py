"""Speed against named peers and limits: ``python -m tests.benchmarks`` or ``make bench``."""
