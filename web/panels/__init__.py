"""What the pages show, put together from services: plain data, no Flask, no SQL."""
