"""The page that is shown to others."""
