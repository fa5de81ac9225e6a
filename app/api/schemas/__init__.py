"""What goes over the wire: one file a route, with the route's name."""
