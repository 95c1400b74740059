"""Looking after recordings: ``validation/`` finds problems, ``repairs/`` mends files, ``comparing`` compares two."""
