"""One file a verb: what the command line parses for and the public API hands on."""
