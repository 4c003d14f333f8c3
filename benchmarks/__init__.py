"""Speed against what a user would do otherwise: ``python -m benchmarks``. One thread, in turn, medians of ratios."""

import os

# Before numpy and torch are imported: their thread pools are sized once.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
