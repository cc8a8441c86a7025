"""Publications: one transaction opens and closes row versions in every mart and adds a line to the ledger."""

from warehouse.publication.ledger import Publication, latest, publish, withdraw
from warehouse.publication.proof import verify

__all__ = ["Publication", "latest", "publish", "verify", "withdraw"]
