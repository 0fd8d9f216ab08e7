"""The robots of Feishu, DingTalk and WeCom against simulators that check their signatures and refuse as documented."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from fangduoduo_release.common.errors import Rejected, Unavailable
from fangduoduo_release.notifications.drivers.base import Later, Notifier
from fangduoduo_release.notifications.drivers.dingtalk import DingTalk
from fangduoduo_release.notifications.drivers.feishu import Feishu
from fangduoduo_release.notifications.drivers.posting import BUSY_S
from fangduoduo_release.notifications.drivers.robots import RobotConfig, plain
from fangduoduo_release.notifications.drivers.wecom import WeCom
from tests.portal import free_port
from tests.simulators.receiver import Reply
from tests.simulators.robots import DingTalkRobot, FeishuRobot, Robot, WeComRobot

from .notifier_contract import MESSAGE, NotifierContract, refused

KEY = "robot-key-0d94b1c8"
SECRET = "SEC5f0e1d2c3b4a"


class RobotContract(NotifierContract):
    """What the three share."""

    SECRETS = (KEY, SECRET)
    SIMULATOR: type[Robot]
    DRIVER: Any
    SIGNS = True

    @pytest.fixture
    def notifier(self) -> Iterator[Notifier]:
        self.robot = self.SIMULATOR(KEY, SECRET if self.SIGNS else "")
        with self.robot.serving():
            secret = SECRET if self.SIGNS else ""
            self.config = RobotConfig(self.robot.address, secret, allow_private=True, allow_http=True)
            yield self.DRIVER(self.config)

    def heard(self) -> list[str]:
        return [json.dumps(said, ensure_ascii=False) for said in self.robot.said]

    def make_busy(self) -> None:
        self.robot.refuses = self.robot.busy()

    def make_refuse(self) -> None:
        object.__setattr__(self.config, "url", self.config.url.replace(KEY, "another-key"))

    def make_silent(self) -> None:
        self.robot.odd = Reply(silent=True)

    def away(self) -> Notifier:
        port = self.robot.url.rpartition(":")[2]
        made: Notifier = self.DRIVER(replace(self.config, url=self.config.url.replace(port, str(free_port()))))
        return made

    def stranger(self) -> Notifier:
        change = {"secret": "SECwrong"} if self.SIGNS else {"url": self.config.url.replace(KEY, "wrong-key")}
        made: Notifier = self.DRIVER(replace(self.config, **change))
        return made

    def test_too_much_at_once_is_waited_for(self, notifier: Notifier) -> None:
        self.make_busy()
        with pytest.raises(Later) as raised:
            notifier.send(MESSAGE)
        assert raised.value.after_s == BUSY_S
        assert raised.value.whole

    def test_a_number_it_has_for_mistakes_is_final_and_shown(self, notifier: Notifier) -> None:
        name = "code" if self.DRIVER is Feishu else "errcode"
        self.robot.refuses = {name: 424242, "msg": f"no, {' and '.join(self.SECRETS)}"}
        with pytest.raises(Rejected) as raised:
            notifier.send(MESSAGE)
        assert raised.value.code == "robot_424242"
        assert "no," in raised.value.evidence
        self.keeps_its_secrets(raised.value)

    @pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"errcode": "0"}', b'{"code": true}', b"[" * 9000])
    def test_an_answer_that_is_none_is_not_taken_for_well_done(self, notifier: Notifier, body: bytes) -> None:
        self.robot.odd = Reply(200, body)
        with pytest.raises(Unavailable) as raised:
            notifier.send(MESSAGE)
        assert raised.value.code == "odd_answer"

    def test_a_gateway_in_front_that_fails_is_waited_for(self, notifier: Notifier) -> None:
        self.robot.odd = Reply(502, b"<html>bad gateway</html>")
        with pytest.raises(Later):
            notifier.send(MESSAGE)

    def test_a_redirect_is_not_followed(self, notifier: Notifier) -> None:
        self.robot.odd = Reply(302, b"", {"Location": self.robot.url})
        with pytest.raises(Rejected):
            notifier.send(MESSAGE)
        assert len(self.robot.posts) == 1

    def test_words_of_others_cannot_make_links_or_mentions(self, notifier: Notifier) -> None:
        notifier.send(replace(MESSAGE, text="[win](http://evil.example) <@all> <at id=all></at> # *x* `y`"))
        (said,) = self.heard()
        if self.DRIVER is Feishu:
            assert "lark_md" not in said  # plain text is not read as markup at all
        else:
            assert "](http://evil.example)" not in said
            assert "<" not in said


class TestFeishu(RobotContract):
    SIMULATOR, DRIVER = FeishuRobot, Feishu

    def test_it_is_a_card_with_a_button(self, notifier: Notifier) -> None:
        notifier.send(MESSAGE)
        (said,) = self.robot.said
        buttons = [a for e in said["card"]["elements"] if e["tag"] == "action" for a in e["actions"]]
        assert [button["url"] for button in buttons] == [MESSAGE.link]
        assert said["card"]["header"]["title"]["content"] == MESSAGE.title

    def test_old_robots_answer_in_another_field(self, notifier: Notifier) -> None:
        self.robot.odd = Reply(200, b'{"StatusCode": 0, "StatusMessage": "success"}')
        notifier.send(MESSAGE)


class TestDingTalk(RobotContract):
    SIMULATOR, DRIVER = DingTalkRobot, DingTalk

    def test_the_signature_travels_in_the_query_and_is_new_each_time(self, notifier: Notifier) -> None:
        notifier.send(MESSAGE)
        (post,) = self.robot.posts
        assert set(post.query) == {"access_token", "timestamp", "sign"}
        assert SECRET not in post.body.decode() + str(post.query)


class TestWeCom(RobotContract):
    SIMULATOR, DRIVER, SIGNS = WeComRobot, WeCom, False
    SECRETS = (KEY,)

    def test_a_long_message_is_cut_between_two_characters(self, notifier: Notifier) -> None:
        for odd in range(4):
            notifier.send(replace(MESSAGE, title="x" * odd, text="汉" * 4000))
        assert len(self.robot.said) == 4


@pytest.mark.parametrize("driver", [Feishu, DingTalk, WeCom])
def test_a_robot_without_a_signature_check_needs_no_secret(driver: Any) -> None:
    kinds: dict[Any, type[Robot]] = {Feishu: FeishuRobot, DingTalk: DingTalkRobot, WeCom: WeComRobot}
    robot = kinds[driver](KEY)
    with robot.serving():
        driver(RobotConfig(robot.address, allow_private=True, allow_http=True)).send(MESSAGE)
    assert len(robot.said) == 1


@pytest.mark.parametrize("url", ["http://open.feishu.cn/x", "https://127.0.0.1/x", "not an address", ""])
def test_a_robot_lives_at_a_public_https_address(url: str) -> None:
    refused(RobotConfig, url=url)


@pytest.mark.parametrize("secret", ["x" * 201, "秘密"])
def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    assert "secret" in refused(RobotConfig, url="https://oapi.dingtalk.com/robot/send", secret=secret).fields


def test_plain_words_stay_readable() -> None:
    assert plain("修复 login_page-2 (main)") == "修复 login_page-2 (main)"
    assert plain("a\nb") == "a b"
