"""What triggers have to do, written a second time: slowly, and so that one sees that it is right."""
