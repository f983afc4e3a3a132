"""What makes new images: generators, how they are trained, and what they are worth."""
