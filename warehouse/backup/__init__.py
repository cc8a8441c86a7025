"""Backup and restore: everything of a home and its database, checksummed, without the keys unless asked for."""

from warehouse.backup.make import BackupResult, backup
from warehouse.backup.restore import RestoreResult, restore

__all__ = ["BackupResult", "RestoreResult", "backup", "restore"]
