"""PyTorch: modules as the checks see them, and measuring them."""
