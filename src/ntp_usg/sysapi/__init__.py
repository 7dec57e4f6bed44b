"""Every ctypes call and ioctl in the project."""
