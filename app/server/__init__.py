"""The process: the application, its server, its settings of the interpreter."""
