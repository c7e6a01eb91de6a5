"""Libraries: where they come from, when they are fetched again, and which are rejected."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from holiday_stack.bundling import package
from holiday_stack.libraries import LAMBDA, BundlingError, Target, fetch
from tests.unit.bundling.wheels import EM_AARCH64, EM_X86_64, NOWHERE, contents, machine_code, require, shelve


def test_installed_libraries_need_neither_uv_nor_a_network(
    lambdas: Path, target: Target, local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = fetch(target, lambdas, local)
    monkeypatch.delattr(subprocess, "run")

    assert fetch(target, lambdas, local) == fetched == local / "libraries" / "shelf" / "installed"


def test_libraries_in_uv_s_cache_need_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given the Lambda requirements, installed once, and then no network
    fetch(LAMBDA, local=tmp_path / "with")
    for proxy in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")

    # when they are installed elsewhere
    package("holiday", LAMBDA, local=tmp_path / "without")

    # then the result is the same
    installed = [tmp_path / place / "libraries" / LAMBDA.name / "installed" for place in ("with", "without")]
    assert contents(installed[0]) == contents(installed[1])


def test_modified_libraries_are_not_used(lambdas: Path, target: Target, local: Path) -> None:
    # given installed libraries that cannot be fetched again
    installed = fetch(target, lambdas, local)
    shutil.rmtree(local.parent / "shelf")
    assert fetch(target, lambdas, local) == installed

    # when one of them is changed
    (installed / "greeting" / "__init__.py").write_text("print('!')\n")

    # then they must be fetched again
    with pytest.raises(BundlingError, match="Cannot fetch the libraries for shelf"):
        fetch(target, lambdas, local)


def test_libraries_are_fetched_again_when_the_requirements_change(lambdas: Path, target: Target, local: Path) -> None:
    assert list(fetch(target, lambdas, local).glob("greeting*"))
    (lambdas / "requirements.txt").write_text("")

    assert not list(fetch(target, lambdas, local).glob("greeting*"))


def test_a_failed_download_is_reported_in_one_sentence_and_leaves_nothing(
    lambdas: Path, target: Target, tmp_path: Path
) -> None:
    with pytest.raises(BundlingError, match=r"Cannot fetch the libraries for nowhere: .* Try `python -m") as error:
        fetch(replace(target, name="nowhere", uv_options=NOWHERE.uv_options), lambdas, tmp_path)

    assert "\n" not in str(error.value)
    assert not any((tmp_path / "libraries").iterdir())


@pytest.mark.parametrize(
    ("pin", "said"),
    [
        ("greeting==1 --hash=sha256:{hash}", None),
        ("greeting==1 --hash=sha256:{other}", r"^greeting==1 for shelf has none of the hashes in .*requirements\.txt,"),
        ("greeting==1", r"requirements\.txt names something without its version and hash: run `make lock`\."),
        ("greeting>=1", r"requirements\.txt names something without its version and hash: run `make lock`\."),
    ],
    ids=["as pinned", "another hash", "no hash", "no version"],
)
def test_only_libraries_with_the_pinned_hash_are_installed(
    lambdas: Path, target: Target, tmp_path: Path, pin: str, said: str | None
) -> None:
    require(lambdas, tmp_path / "shelf", pin)

    # then it is installed, or one sentence says why not, and nothing is left behind
    if said is None:
        assert (fetch(target, lambdas, tmp_path) / "greeting" / "__init__.py").exists()
    else:
        with pytest.raises(BundlingError, match=said) as error:
            fetch(target, lambdas, tmp_path)
        assert "\n" not in str(error.value)
        assert not any((tmp_path / "libraries").iterdir())


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("_core.cpython-313-aarch64-linux-gnu.so", machine_code(EM_AARCH64), None),
        ("_core.abi3.so", machine_code(EM_AARCH64), None),
        ("_core.cpython-313-aarch64-linux-gnu.so", machine_code(EM_X86_64), "_core.* is not machine code for aarch64,"),
        ("_core.cpython-313-aarch64-linux-gnu.so", b"not ELF at all", "_core.* is not machine code for aarch64,"),
        (
            "_core.cpython-312-aarch64-linux-gnu.so",
            machine_code(EM_AARCH64),
            "is for cpython-312-aarch64-linux-gnu, not",
        ),
        ("_core.cpython-313-x86_64-linux-gnu.so", machine_code(EM_AARCH64), "is for cpython-313-x86_64-linux-gnu, not"),
        ("_core.cpython-313-darwin.so", machine_code(EM_AARCH64), "is for cpython-313-darwin, not cpython-313-aarch64"),
    ],
    ids=["as it should be", "any Python", "another CPU", "no ELF", "another Python", "misnamed", "another system"],
)
def test_a_native_module_for_another_platform_is_rejected(
    lambdas: Path, tmp_path: Path, name: str, content: bytes, said: str | None
) -> None:
    shelf = shelve(tmp_path / "shelf", lambdas, {f"greeting/{name}": content})
    target = replace(LAMBDA, uv_options=shelf.uv_options)

    if said is None:
        assert package("greet", target, lambdas=lambdas, local=tmp_path)
        return
    for _attempt in ("built", "built before"):
        with pytest.raises(BundlingError, match=said) as error:
            package("greet", target, lambdas=lambdas, local=tmp_path)
        assert "\n" not in str(error.value)
        assert "lambda-3.13 could not load it: delete .local/libraries and .local/packages" in str(error.value)
