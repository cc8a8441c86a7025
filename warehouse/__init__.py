"""The warehouse's own machinery: settings, the database, the cycle, publication, the command line."""
