"""Training: one loop on a device, and what is trained by it."""
