"""The whole template, for Restate Cloud and for a self-hosted server, so that no change goes unnoticed.

Asset hashes and the logical ids of versions are masked, because they change with every change to a Lambda's sources.
"""

import json
import re

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from tests.stack.conftest import Synthesized


@pytest.fixture
def json_snapshot(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    return snapshot.use_extension(JSONSnapshotExtension)


def masked(synthesized: Synthesized) -> object:
    text = json.dumps(synthesized.template)
    text = re.sub(r"\b[0-9a-f]{64}\b", "<asset hash>", text)
    return json.loads(re.sub(r"(CurrentVersion[0-9A-F]{8})[0-9a-f]{32}", r"\1<version>", text))


def test_the_template_for_restate_cloud_is_as_reviewed(cloud: Synthesized, json_snapshot: SnapshotAssertion) -> None:
    assert masked(cloud) == json_snapshot


def test_the_template_for_a_self_hosted_server_is_as_reviewed(
    self_hosted: Synthesized, json_snapshot: SnapshotAssertion
) -> None:
    assert masked(self_hosted) == json_snapshot
