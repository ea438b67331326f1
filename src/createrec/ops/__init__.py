"""Kernels: the fast ways to compute what the equations elsewhere say. They know no other room."""
