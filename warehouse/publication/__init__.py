"""Publications: one transaction opens and closes row versions in every mart and adds a line to the ledger."""

from warehouse.publication.ledger import Publication, latest, publish
from warehouse.publication.proof import verify
from warehouse.publication.revision import revisions
from warehouse.publication.withdrawal import holds, release, withdraw

__all__ = ["Publication", "holds", "latest", "publish", "release", "revisions", "verify", "withdraw"]
