"""Network architectures in the project's IR, for recipes that hold their own weights: one file each."""
