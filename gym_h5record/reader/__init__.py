"""Reading: the parts of ``gym_h5record.recording``, which is the front door.

``handle`` opens the file, in each process anew; ``unclosed_file`` is how it is
opened while somebody writes it; ``storage`` reads items of its datasets;
``decode`` turns items back into the values that were recorded; ``alike`` compares
rows without that; ``columns`` and ``episodes`` are the sequences a user sees.
"""

from gym_h5record.reader.columns import Column, InfoColumn
from gym_h5record.reader.decode import Decoder
from gym_h5record.reader.episodes import Episode, EpisodeIndex, EpisodeList
from gym_h5record.reader.handle import Access, Handle
from gym_h5record.reader.storage import Storage

__all__ = [
    "Access",
    "Column",
    "Decoder",
    "Episode",
    "EpisodeIndex",
    "EpisodeList",
    "Handle",
    "InfoColumn",
    "Storage",
]
