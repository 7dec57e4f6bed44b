"""The clock that is steered: the kernel's own, or a virtual one that leaves the host untouched."""
