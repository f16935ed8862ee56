"""Arrays in engines that move them between processes and machines: one module for each engine.

``tenure.distributed.dask`` registers by itself as soon as a program has imported Dask, and so do the arrays with joblib. Ray needs
nothing. ``tenure.distributed.ucx`` is imported where it is used. docs/scaling.md tells what moves where, and how many copies there are.
"""
