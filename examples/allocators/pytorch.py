"""PyTorch's GPU memory comes from Tenure's pools: all of it, and that of one part of the program from a pool with a limit."""

import tenure
import tenure.torch
import torch

tenure.torch.install()  # before PyTorch uses a GPU

weights = torch.empty(1_000_000, device="cuda")
activations = tenure.Pool("cuda", name="activations", max_size=64 << 20)
with torch.cuda.use_mem_pool(tenure.torch.mem_pool(activations)):
    hidden = torch.empty(1_000_000, device="cuda")

tenure.report()
stats = tenure.torch.memory_stats()
print("PyTorch holds", stats["allocation.all.current"], "block of the default pool")
