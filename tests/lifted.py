"""docs/registration.md, followed to the letter in an empty directory."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs" / "registration.md"


def lifted(folder: Path) -> Path:
    """An app that consists of the files that the page says to copy and of the ten lines that it shows.

    `folder` then also holds `greeter`, empty: what the service is made of is not the page's business.
    """
    section = DOCS.read_text().partition("## Lift it in ten lines")[2].partition("\n## ")[0]
    (console,) = re.findall(r"```console\n(.*?)```", section, re.DOTALL)
    (app,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert len([line for line in app.splitlines() if line]) == 10
    folder.mkdir(exist_ok=True)
    for name in ("holiday_stack", "lambdas"):
        (folder / name).symlink_to(ROOT / name)
    copying = "\n".join(line.removeprefix("$ ") for line in console.splitlines())
    subprocess.run(["bash", "-ec", copying], cwd=folder, check=True)
    for name in ("holiday_stack", "lambdas"):
        (folder / name).unlink()
    (folder / "app.py").write_text(app)
    (folder / "greeter").mkdir()
    return folder
