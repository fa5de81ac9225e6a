"""DICOM objects that the service writes."""
