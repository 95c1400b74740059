"""Reading: a recording as sequences of exact values.

``handle`` opens the file, in each process anew; ``storage`` reads items of its
datasets; ``decode`` turns items back into the values that were recorded;
``columns`` and ``episodes`` are the sequences a user sees; ``recording`` is the
front door.
"""

from gym_h5record.reader.columns import Column, InfoColumn
from gym_h5record.reader.episodes import Episode, EpisodeList
from gym_h5record.reader.recording import Recording

__all__ = ["Column", "Episode", "EpisodeList", "InfoColumn", "Recording"]
