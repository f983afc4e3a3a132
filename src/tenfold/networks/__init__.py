"""Networks that more than one method or loop uses."""
