"""Bring Superset's own database up to date: tables, roles, the administrator. Run by `bi.serve` in Superset's environment.

One process for what Superset's command line does in three, each of which would import everything again.
"""

from __future__ import annotations

import os

from superset.app import create_app

ADMIN = os.environ.get("BI_ADMIN_USER", "admin")


def main() -> None:
    application = create_app()
    with application.app_context():
        from flask_migrate import upgrade
        from superset import appbuilder, security_manager

        upgrade()
        appbuilder.add_permissions(update_perms=True)
        security_manager.sync_role_definitions()
        password = os.environ["BI_ADMIN_PASSWORD"]
        user = security_manager.find_user(ADMIN)
        if user is None:
            role = security_manager.find_role("Admin")
            if not security_manager.add_user(ADMIN, "数据组", "管理员", f"{ADMIN}@localhost", role, password=password):
                raise SystemExit("the administrator could not be made")
        else:
            security_manager.reset_password(user.id, password)


if __name__ == "__main__":
    main()
