"""What a stage leaves behind, and what it refuses to lose."""

import uuid
from pathlib import Path

from infra.release.aws import Aws
from infra.release.destroy import empty_bucket
from tests.release.support import nobody, run


def test_a_protected_stage_is_not_destroyed(project: Path, tmp_path: Path) -> None:
    done = run("infra.release.destroy", "prod", cwd=project, environment=nobody(tmp_path))
    assert done.returncode == 2
    assert "prod protects its comments: set protect=False" in done.stdout


def test_a_stage_that_is_not_there_is_destroyed_already(project: Path, playground_environment: dict[str, str]) -> None:
    done = run("infra.release.destroy", "playground", cwd=project, environment=playground_environment)
    assert done.returncode == 0
    assert done.stdout.count("is not there") == 2


def test_the_log_bucket_is_emptied_whatever_it_holds(aws: Aws) -> None:
    s3 = aws.untyped("s3")
    bucket = f"logs-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket)
    for number in range(3):
        s3.put_object(Bucket=bucket, Key=f"alb/AWSLogs/{number}", Body=b"x")
    assert empty_bucket(aws, bucket) == 3
    s3.delete_bucket(Bucket=bucket)
    assert empty_bucket(aws, bucket) == 0
