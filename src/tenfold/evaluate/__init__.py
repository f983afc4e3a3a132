"""From predictions to numbers, and from numbers to the verdict. No model is seen here."""
