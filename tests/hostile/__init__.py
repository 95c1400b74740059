"""Files from strangers: none may hang or crash a reader, or make it read or write anything but itself.

``cases`` says what a hostile file is; ``links``, ``storage``, ``chunks``, ``attributes``, ``texts``,
``schemas``, ``index``, ``superblocks``, ``places`` and ``journals`` make them, and ``files`` has them all.
"""
