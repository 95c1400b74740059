"""The verbs of the command line, one module each. The verb ``NAME`` is the function ``NAME_command`` of its module."""
