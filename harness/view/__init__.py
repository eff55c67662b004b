"""Looking at graphs: as a picture (layout.py, picture.py), and as a run for TensorBoard (tensorboard.py)."""
