"""Stage `template`: every application as Argo CD would render it, kept with the report."""

from dataclasses import replace

from ci.base import files
from ci.checks import checks, session
from ci.checks.targets import Chosen
from ci.stages.run import Run


async def execute(run: Run) -> None:
    """Render every application that differs into the report's folder."""
    chosen = replace(run.scope.checked if run.scope is not None else Chosen(), defaults=False)
    async with session.opened(run.supply) as (client, tools):
        rendered = await checks.render(client, tools, run.options.project, run.project, chosen)
    for each in rendered.renderings:
        files.write(run.options.report / "rendered" / f"{each.target.name}.yaml", each.text.encode())
    run.judge(rendered.findings)
