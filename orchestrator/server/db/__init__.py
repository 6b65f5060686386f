"""The database: sessions, tables, migrations."""
