"""Graph → files that other runtimes and viewers open; one module per format."""
