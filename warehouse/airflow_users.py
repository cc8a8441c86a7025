"""The first logins of a deployed Airflow: one for each role that people of the house need.

Roles are those of Airflow's FAB auth manager: Admin manages users and everything else; Op runs, clears, approves and
sets variables; Viewer (auditors, managers) reads. A login that exists is left alone, so a changed password stays
changed. More are made with ``warehouse airflow users create``.
"""

from __future__ import annotations

import os

from warehouse.settings import WarehouseError

LOGINS = {"admin": "Admin", "operator": "Op", "viewer": "Viewer"}


def make_logins() -> None:
    """Bring the roles' permissions up to date and make the logins that are missing.

    Raises WarehouseError where a password (WAREHOUSE_SECRET_AIRFLOW_<LOGIN>) is not given.
    """
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    with get_application_builder() as builder:
        builder.add_permissions(update_perms=True)
        builder.sm.sync_roles()
        for login, role in LOGINS.items():
            if builder.sm.find_user(login):
                continue
            password = os.environ.get(f"WAREHOUSE_SECRET_AIRFLOW_{login.upper()}")
            if not password:
                raise WarehouseError(f"The login {login} needs a password in WAREHOUSE_SECRET_AIRFLOW_{login.upper()}.")
            # FAB wants an address that is nobody else's
            if not builder.sm.add_user(login, login.capitalize(), role, f"{login}@localhost", builder.sm.find_role(role), password):
                raise WarehouseError(f"Airflow did not make the login {login}; the reason is above.")
            print(f"Login {login} ({role}) was made", flush=True)


if __name__ == "__main__":
    from airflow.utils.providers_configuration_loader import providers_configuration_loaded

    providers_configuration_loaded(make_logins)()
