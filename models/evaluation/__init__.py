"""What a bundle is worth on radiographs it was not trained on."""
