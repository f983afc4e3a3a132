"""Reading and describing image sets: folders, tables, archives and the known sets."""
