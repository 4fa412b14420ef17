"""The settings that `simplysocket check` calls unsafe."""

from typing import Any

import attrs
import pytest

from simplysocket import Limits
from simplysocket._operation.settings_check import unsafe_settings
from simplysocket.introspection import ActionInfo, Description, RoomInfo

from ..harness.limits import LIMITS, can_be_lifted

SAY = ActionInfo("say", "Chat", "Say", turn=True, cancel=False, place="chat.py:12")
CHAT = RoomInfo("chat-*", "Chat", 10, relay=None, open=True, announce=False, empty_ttl=0.0)
SAFE = Description(
    name="chat",
    paths=("/ws",),
    actions=(SAY,),
    rooms=(CHAT,),
    middleware=(),
    origins=("https://example.com", "http://localhost:3000", "http://127.0.0.1", "http://[::1]:80"),
    trusted_proxies=("127.0.0.1", "10.0.0.0/8", "fc00::/7", "unix"),
    is_authenticated=True,
    relay=False,
    direct=True,
    open_rooms=True,
    static=(),
    limits=Limits(),
)


def found(**changes: Any) -> list[str]:
    """Return the names of the settings found unsafe after these changes."""
    return [finding.setting for finding in unsafe_settings(attrs.evolve(SAFE, **changes))]


def test_nothing_is_said_of_safe_settings() -> None:
    assert found() == []
    assert found(origins=None) == []


@pytest.mark.parametrize(
    ("changes", "settings"),
    [
        ({"is_authenticated": False, "direct": False}, ["authenticate"]),
        ({"is_authenticated": False, "direct": True}, ["authenticate", "direct"]),
        ({"origins": ("https://*.example.com", "http://*.localhost:3000")}, []),
        ({"origins": ("https://*.com", "https://*.com:8443")}, ["origins", "origins"]),
        ({"origins": ("http://*.example.com",)}, ["origins"]),
        ({"origins": ("null", "file://")}, ["origins", "origins"]),
        ({"origins": None, "is_authenticated": False, "direct": False}, ["authenticate", "hosts"]),
        ({"origins": None, "hosts": ("a.example",), "is_authenticated": False, "direct": False}, ["authenticate"]),
        ({"origins": ("http://example.com", "http://10.0.0.1")}, ["origins", "origins"]),
        ({"origins": ("http://localhost.example.com",)}, ["origins"]),
        ({"trusted_proxies": ("0.0.0.0/0",)}, ["trusted_proxies"]),
        ({"trusted_proxies": ("::/0",)}, ["trusted_proxies"]),
        ({"trusted_proxies": ("0.0.0.0/1", "128.0.0.0/1")}, ["trusted_proxies", "trusted_proxies"]),
        ({"rooms": ()}, ["open_rooms"]),
        ({"rooms": (), "open_rooms": False}, []),
        ({"relay": True, "actions": ()}, ["relay"]),
        ({"relay": True, "actions": (), "middleware": ("look",)}, []),
        ({"relay": True}, []),
        ({"rooms": (attrs.evolve(CHAT, relay=True),), "actions": ()}, ["Chat.relay"]),
        ({"rooms": (attrs.evolve(CHAT, relay=True),)}, []),
        ({"actions": (attrs.evolve(SAY, unbounded_patterns=("(a*)*b", "x+y")),)}, ["pattern", "pattern"]),
    ],
)
def test_an_unsafe_setting_is_found(changes: dict[str, Any], settings: list[str]) -> None:
    assert found(**changes) == settings


@pytest.mark.parametrize(
    ("limits", "settings"),
    [
        (Limits(ping_seconds=None), ["Limits.ping_seconds"]),
        (Limits(silence_seconds=None), ["Limits.silence_seconds"]),
        (Limits(ping_seconds=59, silence_seconds=60), []),
        (Limits(message_bytes=None, connections=None), ["Limits.message_bytes", "Limits.connections"]),
        (Limits(members_per_room=None), []),  # this has no bound by default
    ],
)
def test_an_unsafe_limit_is_found(limits: Limits, settings: list[str]) -> None:
    assert found(limits=limits) == settings


def test_every_finding_says_what_to_do() -> None:
    lifted = {name: None for name in LIMITS if can_be_lifted(name)}
    findings = unsafe_settings(attrs.evolve(SAFE, limits=Limits(**lifted), is_authenticated=False))
    assert len(findings) > 10
    assert all(finding.problem and finding.remedy for finding in findings)
