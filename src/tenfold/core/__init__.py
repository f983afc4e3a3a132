"""What every layer stands on: types, keys, files, errors, progress. Nothing here imports torch on loading."""
