"""One recording as an HDF5 file: paths, lock, state, and columns in and out.

``recording_file`` writes a recording and ``column_writer`` one of its datasets; ``handle`` opens a recording for
reading and ``column_reader`` reads its datasets. ``compaction`` makes a closed file small. ``hdf5/`` makes HDF5 itself
safe. Only this room imports h5py.
"""
