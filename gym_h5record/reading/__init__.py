"""Reading: from the file to exact values. ``gym_h5record.reading.recording`` is the entrance.

``recording``, ``selection``, ``episodes``, ``column_properties``, ``columns`` and ``steps`` are the objects that a
user sees; ``tables`` and ``html`` are other views of them. ``decoder`` turns items of datasets into values;
``row_comparison`` compares rows without decoding them; ``episode_index`` reads ``/episodes``; ``expression`` parses
conditions on episodes.
"""
