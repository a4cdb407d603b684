"""Calls a served Portolan with the typed Python SDK of Security Center.

scripts/clients.sh starts the server, prepares it, and says where it is.
"""

import os

import pytest
from alibabacloud_sas20181203 import models
from alibabacloud_sas20181203.client import Client
from alibabacloud_tea_openapi import models as openapi

PREPARED, HARBORS, CJK_NAME = 25, 10, "镜像仓库-生产"


def setting(name):
    value = os.environ.get(name)
    if not value:
        pytest.skip(f"{name} is not set: run scripts/clients.sh")
    return value


def client(key=None, secret=None, token=None, endpoint=None):
    return Client(openapi.Config(
        access_key_id=key or setting("CLIENTS_ROOT_ID"),
        access_key_secret=secret or setting("CLIENTS_ROOT_SECRET"),
        security_token=token,
        endpoint=endpoint or setting("CLIENTS_ENDPOINT"),
        protocol="http",
    ))


def page(c=None, **params):
    return (c or client()).page_image_registry(models.PageImageRegistryRequest(**params)).body


def test_lists_and_typed_fields():
    body = page()
    assert body.page_info.total_count == PREPARED and body.page_info.count == 20 and len(body.list) == 20
    assert len(body.request_id) == 36
    for row in body.list:
        assert isinstance(row.id, int) and isinstance(row.image_count, int) and isinstance(row.trans_per_hour, int)
        assert row.registry_type in ("harbor", "quay", "oci") and row.protocol_type in (1, 2)
        assert row.password in (None, "******")
        assert len(row.gmt_create) == len("2026-01-02 10:23:30")
    assert page(registry_type_in_list=["harbor", "CI/CD"]).page_info.total_count == HARBORS
    assert page(registry_type_not_in_list=["harbor"]).page_info.total_count == PREPARED - HARBORS
    assert page(registry_type_in_list=["nexus"]).list == []


def test_fuzzy_name():
    found = page(registry_name_like="像仓")
    assert [row.registry_name for row in found.list] == [CJK_NAME]
    assert page(registry_name_like="REG-0").page_info.total_count == 9
    assert page(registry_name_like="%").page_info.total_count == 0


def test_paging_to_the_end():
    seen, number = set(), 1
    while True:
        body = page(current_page=number, page_size=7)
        assert body.page_info.total_count == PREPARED
        if not body.list:
            break
        seen.update(row.id for row in body.list)
        number += 1
    assert len(seen) == PREPARED


def test_typed_siblings():
    c = client()
    types = c.list_private_registry_type(models.ListPrivateRegistryTypeRequest()).body
    assert [t.registry_type for t in types.registry_type_infos] == ["acr", "harbor", "quay", "CI/CD", "oci"]
    images = c.describe_image_instances(models.DescribeImageInstancesRequest(page_size=5)).body
    assert images.page_info.page_size == 5 and images.image_instance_list is not None
    assert c.describe_image_statistics().body.instance_count == images.page_info.total_count


@pytest.mark.parametrize("given, code, status", [
    ({"secret": "wrong"}, "SignatureDoesNotMatch", 400),
    ({"key": "LTAI5tUnknownUnknownUnkn"}, "InvalidAccessKeyId.NotFound", 404),
    ({"token": "not-a-token"}, "InvalidSecurityToken.Malformed", 400),
    ({"denied": True}, "NoPermission", 403),
])
def test_refusals(given, code, status):
    if given.pop("denied", False):
        given = {"key": setting("CLIENTS_DENIED_ID"), "secret": setting("CLIENTS_DENIED_SECRET")}
    with pytest.raises(Exception) as raised:
        page(client(**given))
    assert code in str(getattr(raised.value, "code", "")) or code in str(raised.value)
    assert getattr(raised.value, "statusCode", getattr(raised.value, "status_code", status)) == status


def test_throttling():
    c = client(setting("CLIENTS_THROTTLED_ID"), setting("CLIENTS_THROTTLED_SECRET"), endpoint=setting("CLIENTS_THROTTLED_ENDPOINT"))
    with pytest.raises(Exception) as raised:
        for _ in range(20):
            page(c)
    assert not isinstance(raised.value, AssertionError)
    assert "Throttling.User" in str(getattr(raised.value, "code", "")) + str(raised.value)
