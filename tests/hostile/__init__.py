"""Files from strangers: none may hang or crash a reader, or make it read or write anything but itself.

``cases`` says what a hostile file is; ``links``, ``storage``, ``chunks``, ``attributes``, ``texts``, ``spaces``,
``schemas``, ``index``, ``superblocks``, ``places``, ``journals`` and ``journal_rows`` make them, the latter two with
``journal_bytes``; ``files`` has them all.
"""
