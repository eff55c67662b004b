"""Network architectures in the project's IR, one file each, for weights that come by name.

`builder.py` is what they share; `seeded.py` makes weights where there are none.
"""
