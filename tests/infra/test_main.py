import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def synthesize(folder: Path, context: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the app as the CDK CLI does, on a machine that knows nothing of AWS."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_"))}
    environment |= {"HOME": str(folder), "CDK_CONTEXT_JSON": context, "CDK_OUTDIR": str(folder / "out")}
    environment |= {"CDK_VALIDATION": "false", **variables}
    return subprocess.run(
        [sys.executable, "-m", "infra.main"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_a_machine_without_credentials_synthesizes_the_four_stacks(tmp_path: Path) -> None:
    done = synthesize(tmp_path, '{"stage": "dev"}')
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "out").glob("*.template.json")) == [
        "CommentsAccess.template.json",
        "CommentsFoundation-dev.template.json",
        "CommentsRegistry.template.json",
        "CommentsService-dev.template.json",
    ]


def test_nothing_is_looked_up(tmp_path: Path) -> None:
    """A look-up leaves its question in the manifest, and a dummy answer in the template."""
    where = {"CDK_DEFAULT_ACCOUNT": "111122223333", "CDK_DEFAULT_REGION": "eu-west-1"}
    assert synthesize(tmp_path, '{"stage": "prod"}', **where).returncode == 0
    assert '"missing"' not in (tmp_path / "out" / "manifest.json").read_text()
    assert "dummy" not in (tmp_path / "out" / "CommentsService-prod.template.json").read_text()


def test_a_wrong_call_ends_in_one_line(tmp_path: Path) -> None:
    done = synthesize(tmp_path, '{"stage": "dev"}', AWS_REGION="eu-west-1", AWS_DEFAULT_REGION="us-east-1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: contradictory region: eu-west-1 (AWS_REGION), us-east-1 (AWS_DEFAULT_REGION);"
        " make them agree (the stage's is in infra/stages.py)\n"
    )
