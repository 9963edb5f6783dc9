"""The cases, one module per chapter of the specification."""
