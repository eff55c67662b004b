"""Scripts that made the weights in `models/`; nothing imports them."""
