"""The bill of materials of an image, by syft."""

import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from release import sbom
from release.errors import ReleaseError
from release.sbom import bill_of_materials, summary
from tests.release.conftest import nobody, run

FILES = {
    "etc/os-release": 'NAME="Debian GNU/Linux"\nID=debian\nVERSION_ID="13"\nPRETTY_NAME="Debian GNU/Linux 13"\n',
    "var/lib/dpkg/status": "Package: zlib1g\nStatus: install ok installed\nVersion: 1.3\nArchitecture: amd64\n\n",
    "usr/lib/python3/site-packages/flask-3.1.3.dist-info/METADATA": (
        "Metadata-Version: 2.1\nName: Flask\nVersion: 3.1.3\n"
    ),
}


@pytest.fixture
def image(docker: None, tmp_path: Path) -> Iterator[str]:  # noqa: ARG001  # skips the test without Docker
    """An image with one package of Debian and one of Python, and nothing else."""
    for name, content in FILES.items():
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text(content)
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY root /\n")
    reference = f"sbom-{uuid.uuid4().hex[:8]}:test"
    subprocess.run(["docker", "build", "--quiet", f"--tag={reference}", "."], cwd=tmp_path, check=True)
    yield reference
    subprocess.run(["docker", "rmi", reference], check=True, capture_output=True)


def test_it_lists_the_packages_of_the_system_and_of_python(
    image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sbom, "FILE", tmp_path / "sbom.json")
    offline = nobody(tmp_path) | {"SYFT_CHECK_FOR_APP_UPDATE": "false"}
    bill = json.loads(bill_of_materials(f"docker:{image}", version="0123456789ab", environment=offline))
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["name"] == "comments"
    assert bill["metadata"]["component"]["version"] == "0123456789ab"
    packages = {each.get("purl", "").partition("?")[0] for each in bill["components"]}
    assert {"pkg:deb/debian/zlib1g@1.3", "pkg:pypi/flask@3.1.3"} <= {purl.lower() for purl in packages}
    assert summary(bill) == "debian; packages: 1 deb, 1 pypi"


def test_a_stage_that_is_not_deployed_has_none(project: Path, playground_environment: dict[str, str]) -> None:
    done = run("release.sbom", "playground", cwd=project, environment=playground_environment)
    assert done.returncode == 2
    assert "run `make deploy ENV=playground`" in done.stdout


@pytest.mark.parametrize(
    "components",
    [
        [],
        [{"type": "operating-system", "name": "debian"}],
        [{"type": "library", "name": "flask", "purl": "pkg:pypi/flask@3.1.3"}],
    ],
)
def test_a_bill_that_misses_half_is_an_error(components: list[dict[str, str]]) -> None:
    with pytest.raises(ReleaseError, match="an image of the service has both"):
        summary({"components": components})
