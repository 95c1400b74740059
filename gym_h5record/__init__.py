from gym_h5record.recorder import RecordToHDF5
