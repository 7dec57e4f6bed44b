"""Network bytes <-> values: header, timestamps, extension fields, where the MAC starts, mode 6."""
