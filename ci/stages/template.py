"""Stage `template`: the chart as every environment would get it, kept with the report."""

from ci.base import files, paths
from ci.checks import checks, session
from ci.stages.run import Run


async def execute(run: Run) -> None:
    """Render every environment into the report's folder."""
    async with session.opened(run.supply) as (client, tools):
        renderings = await checks.render(client, tools, paths.ENVIRONMENTS)
    for rendering in renderings:
        run.judge(rendering.findings)
        files.write(run.options.report / "rendered" / f"{rendering.environment}.yaml", rendering.text.encode())
