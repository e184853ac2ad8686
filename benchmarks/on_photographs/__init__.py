"""Parts of ants_and_bees.py: PyTorch's two ways from a folder of photographs to a classifier."""
