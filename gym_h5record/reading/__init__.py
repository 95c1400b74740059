"""Reading: from the file to exact values. ``gym_h5record.reading.recording`` is the entrance.

``recording``, ``episodes``, ``column_properties`` and ``columns`` are the objects that a
user sees. ``decoder`` turns items of datasets into values; ``row_comparison`` compares
rows without decoding them; ``episode_index`` reads ``/episodes``.
"""
