"""What the server keeps under a name: blocks, variables, artifacts, and templates filled from them."""
