"""cxrlab: a bench for comparing chest X-ray classifiers. Research and teaching only, never a diagnosis."""

import os

# Before torch is imported anywhere: its default spinning threads are 2-40 times slower on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"
