"""Bringing a classifier from labelled source sets to an unlabelled target."""
