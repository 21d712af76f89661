"""Measuring what a model costs: phase times in blocks of arms, peak memory, FLOPs."""
