"""Every admin page in Chinese: headings, columns and labels have words of that language."""

from __future__ import annotations

import logging
import re

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from tests import world

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(1800)]  # much is asked for here: no sign of a hang
NAMES = {"Kubernetes", "Consul", "Gerrit", "Jenkins", "Webhook", "Jenkinsfile:", "olga"}  # in any language
# Of Django and of axes themselves; the first three are for screen readers.
UNTRANSLATED = {"Model name", "Add link", "Change or view list link", "Axes", "Access attempts", "0 access attempts"}
CHINESE, ENGLISH = re.compile(r"[\u4e00-\u9fff]"), re.compile(r"[A-Za-z]{4,}")


@pytest.fixture
def ops(caplog: pytest.LogCaptureFixture) -> Client:
    caplog.set_level(logging.CRITICAL, "django.request")  # some pages are nobody's
    client = Client(HTTP_ACCEPT_LANGUAGE="zh-hans")
    client.force_login(world.ops())
    return client


def texts(page: str) -> list[str]:
    """What of a page's content a person reads, but for code and what is in the user's own words."""
    content = page[page.index('id="content"') :]
    content = re.sub(r"<(script|style|svg|code|pre)[^>]*>.*?</\1>", "", content, flags=re.DOTALL)
    found = (re.sub(r"\s+", " ", text).strip() for text in re.findall(r">([^<>]+)<", content))
    return [text for text in found if ENGLISH.search(text)]


def test_no_page_for_ops_speaks_english_to_who_reads_chinese(ops: Client) -> None:
    addresses = [reverse("admin:index")]
    for model in admin.site._registry:
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        addresses += [reverse(f"admin:{name}_changelist"), reverse(f"admin:{name}_add")]
    seen, english = 0, []
    for address in addresses:
        answer = ops.get(address)
        if answer.status_code == 200:
            seen += 1
            english += [(address, text) for text in texts(answer.content.decode()) if not CHINESE.search(text)]
    assert seen > 40
    assert [one for one in english if one[1] not in NAMES | UNTRANSLATED] == []
