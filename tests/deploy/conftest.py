"""A cloud of its own for each module whose tests destroy stacks, kill servers, or leave deployments behind."""

from collections.abc import Iterator

import pytest

from localcloud.cloud import LocalCloud, Ports


@pytest.fixture(scope="module")
def own_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    with LocalCloud(tmp_path_factory.mktemp("own-cloud"), Ports.free()) as started:
        yield started
