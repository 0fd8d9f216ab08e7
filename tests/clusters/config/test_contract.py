"""The contract of config sources on each of them."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import httpx
import pytest

from clusters.configs import source_named, source_of
from clusters.drivers.config.base import ConfigSource
from fangduoduo_release.common.models import Connection
from tests.simulators.consul import Consul

from .conftest import connection_to
from .contract import ConfigContract


@pytest.mark.django_db
class TestDatabase(ConfigContract):
    @pytest.fixture
    def source(self) -> ConfigSource:
        return source_named("database")


@pytest.mark.django_db
class TestConsul(ConfigContract):
    @pytest.fixture
    def source(self, consul: Consul) -> ConfigSource:
        connection_to(consul)
        return source_named("kv")


@pytest.mark.django_db
class TestConsulBelowAPrefixInANamespace(ConfigContract):
    @pytest.fixture
    def source(self) -> Iterator[ConfigSource]:
        with Consul(enterprise=True) as consul:
            consul.put("shop/a.yaml", "of others\n")
            consul.put("config/prod/shop/other.yaml", "of another namespace\n")
            connection_to(consul, prefix="/config/prod/", namespace="team-a", datacenter="dc1")
            yield source_named("kv")
            assert all(ns in ("team-a", "default") for ns, _ in consul.store.entries)
            assert all(key.startswith("config/prod/") for ns, key in consul.store.entries if ns == "team-a")


@pytest.mark.live
@pytest.mark.django_db
class TestLiveConsul(ConfigContract):
    """FDD_LIVE_CONSUL_URL, and FDD_LIVE_CONSUL_TOKEN where ACLs are on; writes below fangduoduo-release-test/ only."""

    @pytest.fixture
    def source(self) -> Iterator[ConfigSource]:
        url = os.environ.get("FDD_LIVE_CONSUL_URL")
        if not url:
            pytest.skip("FDD_LIVE_CONSUL_URL names no Consul")
        token = os.environ.get("FDD_LIVE_CONSUL_TOKEN", "")
        prefix = f"fangduoduo-release-test/{uuid.uuid4().hex}"
        connection = Connection.objects.create(
            name="live", kind="consul", config={"url": url, "prefix": prefix}, secrets={"token": token}
        )
        yield source_of(connection)
        httpx.delete(
            f"{url.rstrip('/')}/v1/kv/{prefix}/?recurse",
            headers={"X-Consul-Token": token},
            verify=False,
            trust_env=False,
        )
