"""The one classifier loop, the recipe that it reads, and the adversarial loop."""
