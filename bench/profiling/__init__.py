"""What a step spends its time on: traces of the PyTorch profiler, and tables of them."""
