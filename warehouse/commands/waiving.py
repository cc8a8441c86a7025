"""Commands that set rules aside."""

from __future__ import annotations

import click

from warehouse.commands.base import AS_JSON, connected, main, tell


@main.command()
@click.option("--rule", required=True, help="The rule's id, such as EMP-001.")
@click.option("--county", required=True, help="The county's code, or * for every county.")
@click.option("--form", required=True, help="The form's code.")
@click.option("--from", "first", required=True, metavar="WEEK", help="First week it holds for, such as 2020-W24.")
@click.option("--to", "last", required=True, metavar="WEEK", help="Last week it holds for.")
@click.option("--by", required=True, help="Who grants it: role and name.")
@click.option("--reason", required=True, help="Why, in Chinese: it is shown with the violation.")
@click.option("--expires", required=True, metavar="DATE", help="Last day on which a file may be received under it.")
@click.option("--read-again", is_flag=True, help="Look again at the forms that were returned for this already.")
@AS_JSON
def waive(rule: str, county: str, form: str, first: str, last: str, by: str, reason: str, expires: str, read_again: bool, as_json: bool) -> None:
    """Set a rule aside for a county, form and period. What violates it is still shown, as waived.

    \b
    Example: warehouse waive --rule EMP-001 --county 451002 --form EMP01 --from 2020-W24 --to 2020-W26 \\
               --by "数据组 李科长" --reason "乡镇合并，基数待调整" --expires 2020-07-31 --read-again
    """
    from warehouse.commands import waivers as command

    with connected() as (connection, settings):
        result = command.waive(
            connection, settings, rule=rule, county=county, form=form, first=first, last=last, by=by, reason=reason, expires=expires, read_again=read_again
        )
    tell(as_json, result, command.describe_waive(result))


@main.command()
@click.option("--read-again", type=int, metavar="NUMBER", help="Look again at the forms that were returned for what this waiver is about.")
@AS_JSON
def waivers(read_again: int | None, as_json: bool) -> None:
    """List the waivers and how many findings each sets aside.

    \b
    Example: warehouse waivers
    """
    from warehouse.commands import waivers as command

    with connected() as (connection, settings):
        if read_again is not None:
            result = command.again(connection, settings, read_again)
            tell(as_json, result, command.describe_waive(result))
            return
        rows = command.waivers(connection)
    tell(as_json, {"waivers": rows}, command.describe(rows))
