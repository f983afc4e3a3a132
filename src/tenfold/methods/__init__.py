"""One file a method. The file's name is the method's name; the folder is the registry."""
