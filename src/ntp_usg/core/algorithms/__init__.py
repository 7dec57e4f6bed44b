"""Numbers only: filters, fits and error bounds."""
