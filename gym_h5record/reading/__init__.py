"""Reading: the parts of ``gym_h5record.reading.recording``, which is the front door.

``handle`` opens the file, in each process anew; ``unclosed_file`` is how it is
opened while somebody writes it; ``storage`` reads items of its datasets;
``decode`` turns items back into the values that were recorded; ``alike`` compares
rows without that; ``columns`` and ``episodes`` are the sequences a user sees.
"""
