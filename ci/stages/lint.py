"""Stage `lint`: every check that needs no cluster."""

from ci.checks import checks, session
from ci.checks.control_plane import container
from ci.stages.run import Run


async def execute(run: Run) -> None:
    """Run every check on what differs; an error among the findings fails the stage."""
    chosen = run.scope.checked if run.scope is not None else None
    async with session.opened(run.supply) as (client, tools):
        plane = await container.plane(run.supply) if run.options.control_plane else None
        base = run.scope.base if run.scope is not None else None
        found = await checks.lint(client, tools, run.options.project, run.project, chosen, plane, base)
    run.report.effects = found.effects
    run.report.gates = found.gates
    run.judge(found.findings)
