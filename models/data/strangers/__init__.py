"""Strangers: pictures that are no frontal chest radiograph, drawn or from packages of clear licence."""
