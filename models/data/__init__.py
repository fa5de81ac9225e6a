"""Radiographs to train on and to evaluate with."""
