"""Speed beside other runtimes, on this machine and under QEMU; docs/speed.md says how and shows the figures.

networks.py        the four networks in every engine's format, made once into the user's cache
peers.py           x86-64: latency, memory and load time, in turn on one core → results/peers-x86.json
arm.py             AArch64: instructions per inference under QEMU → results/peers-arm.json
page.py            both files as the tables of docs/speed.md
modelled.py        cycles of the inner loops in LLVM's processor models → runtime/README.md
test_kernels.py    the kernels on layers of those networks, by pytest-benchmark

Nothing in harness/ or devices/ imports from here. Run from the repository root: `make figures`.
"""
