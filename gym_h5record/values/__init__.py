"""Python values, Gymnasium spaces and specs: exact equality, differences, and as JSON text. Knows no file."""
