"""Weight files: minitl's HDF5 format, canonical layer names, converters from foreign files, and known files."""
