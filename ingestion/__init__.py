"""A county's file becomes typed rows with the cell each value came from, or findings."""
