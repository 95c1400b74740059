"""What a recording consists of, ``docs/format.md`` as code: names, nodes, schema, planning, ragged values."""
