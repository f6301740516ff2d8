# The rate of torch's matrix product, for both harvest peers.
import time

import torch


def matmul_rate(shapes, times):
    """GFLOP/s: the best over shapes and repetitions."""
    best = 0.0
    for m, k, n in shapes:
        a, b = torch.randn(m, k), torch.randn(k, n)
        for _ in range(times):
            start = time.perf_counter()
            torch.mm(a, b)
            best = max(best, 2e-9 * m * k * n / (time.perf_counter() - start))
    return {"gflops": best}
