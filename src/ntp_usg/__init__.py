"""ntp_usg: a Stratum 1 network time server: a daemon, a tool for people, and a library, from the same parts."""

__version__ = "0.1.0"
