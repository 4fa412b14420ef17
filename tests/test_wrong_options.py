"""Wrong options of `Server`, `Limits` and static files: the error says which, and what to write instead."""

# mypy: ignore-errors
# The uses are wrong on purpose; what mypy says about them is tested in test_types.py.

from typing import Any

import pytest

from simplysocket import Limits, RegistrationError, Server

from .harness.wrong_use import WrongUse, WrongUses

wrong = WrongUses(RegistrationError)


@wrong("give Limits(...)", place="limits={}")
def limits_that_are_a_dict(server: Any) -> None:
    Server(limits={})


@wrong("limits=", place="name")
def limits_in_the_place_of_the_name(server: Any) -> None:
    Server(Limits())


@wrong("above 0", "None for no limit", place="Limits.message_bytes is 0", error=ValueError)
def a_limit_of_zero(server: Any) -> None:
    Limits(message_bytes=0)


@wrong("above 0", place="Limits.ping_seconds is -1", error=ValueError)
def a_limit_below_zero(server: Any) -> None:
    Limits(ping_seconds=-1)


@wrong("give a number", place="Limits.connections is '100'", error=ValueError)
def a_limit_that_is_a_string(server: Any) -> None:
    Limits(connections="100")


@wrong("cannot be lifted", place="Limits.close_seconds is None", error=ValueError)
def a_limit_that_cannot_be_lifted(server: Any) -> None:
    Limits(close_seconds=None)


@wrong("unexpected keyword argument 'max_message_bytes'", place="Limits", error=TypeError)
def a_limit_by_another_name(server: Any) -> None:
    Limits(max_message_bytes=10_000)


@wrong("silence_seconds", "below", place="Limits.ping_seconds is 90", error=ValueError)
def pings_rarer_than_the_silence_allows(server: Any) -> None:
    Limits(ping_seconds=90, silence_seconds=60)


@wrong("1 or more", place="Limits.messages_burst is 0.5", error=ValueError)
def a_burst_that_lets_nothing_through(server: Any) -> None:
    Limits(messages_burst=0.5)


@wrong("must begin with '/'", place="path='ws'")
def a_path_without_its_slash(server: Any) -> None:
    Server(path="ws")


@wrong("a path, or several", place="path=[]")
def no_path_at_all(server: Any) -> None:
    Server(path=[])


@wrong("is one string", "give a list", place="origins='https://example.com'", error=ValueError)
def origins_as_one_string(server: Any) -> None:
    Server(origins="https://example.com")


@wrong("is no origin", "'https://example.com'", place="'example.com' in origins=", error=ValueError)
def an_origin_without_its_scheme(server: Any) -> None:
    Server(origins=["example.com"])


@wrong("is no origin", "'https://example.com'", place="'*' in origins=", error=ValueError)
def an_origin_that_is_a_star(server: Any) -> None:
    Server(origins=["*"])


@wrong("one whole label", "'https://*.example.com'", place="'https://play*.example.com' in origins=", error=ValueError)
def an_origin_with_a_star_inside_a_label(server: Any) -> None:
    Server(origins=["https://play*.example.com"])


@wrong("one whole label", "'https://*.example.com'", place="'https://*' in origins=", error=ValueError)
def an_origin_that_is_any_host(server: Any) -> None:
    Server(origins=["https://*"])


@wrong("one whole label", "the first", place="'https://*.*.example.com' in origins=", error=ValueError)
def an_origin_with_two_stars(server: Any) -> None:
    Server(origins=["https://*.*.example.com"])


@wrong("only for http and https", "list each", place="'chrome-extension://*' in origins=", error=ValueError)
def an_origin_of_any_application(server: Any) -> None:
    Server(origins=["chrome-extension://*"])


@wrong("is no origin", place="'https://example.com/game' in origins=", error=ValueError)
def an_origin_with_a_path(server: Any) -> None:
    Server(origins=["https://example.com/game"])


@wrong("is no origin", place="'https://example.com?game' in origins=", error=ValueError)
def an_origin_with_a_query(server: Any) -> None:
    Server(origins=["https://example.com?game"])


@wrong("is no origin", place="'https://example.com:99999' in origins=", error=ValueError)
def an_origin_with_a_port_that_is_none(server: Any) -> None:
    Server(origins=["https://example.com:99999"])


@wrong("as browsers send it", "xn--", place="'https://bücher.example' in origins=", error=ValueError)
def an_origin_that_is_not_ascii(server: Any) -> None:
    Server(origins=["https://bücher.example"])


@wrong("give strings", place="None in origins=", error=ValueError)
def an_origin_that_is_none(server: Any) -> None:
    Server(origins=[None])


@wrong("no list", place="origins=True", error=ValueError)
def origins_that_are_allowed(server: Any) -> None:
    Server(origins=True)


@wrong("is one string", "give a list", place="hosts='play.example.com'", error=ValueError)
def hosts_as_one_string(server: Any) -> None:
    Server(hosts="play.example.com")


@wrong("without scheme and port", "'play.example.com'", place="'https://play.example.com' in hosts=", error=ValueError)
def a_host_with_its_scheme(server: Any) -> None:
    Server(hosts=["https://play.example.com"])


@wrong("without scheme and port", place="'play.example.com:8080' in hosts=", error=ValueError)
def a_host_with_its_port(server: Any) -> None:
    Server(hosts=["play.example.com:8080"])


@wrong("one whole label", "'*.example.com'", place="'*' in hosts=", error=ValueError)
def a_host_that_is_a_star(server: Any) -> None:
    Server(hosts=["*"])


@wrong("give True or False", place="relay='false'")
def a_switch_that_is_a_word(server: Any) -> None:
    Server(relay="false")


@wrong("as clients send it", "'/r%C3%A4ume'", place="path='/räume'")
def a_path_that_is_not_ascii(server: Any) -> None:
    Server(path="/räume")


@wrong("without '?'", place="path='/ws?room=1'")
def a_path_with_a_query(server: Any) -> None:
    Server(path="/ws?room=1")


@wrong("load balancers", place="path='/health'")
def a_path_that_the_server_answers_itself(server: Any) -> None:
    Server(path="/health")


@wrong("no list", "['127.0.0.1']", place="trusted_proxies=None", error=ValueError)
def trusted_proxies_that_are_none(server: Any) -> None:
    Server(trusted_proxies=None)


@wrong("give a list", place="trusted_proxies='127.0.0.1'", error=ValueError)
def trusted_proxies_as_one_string(server: Any) -> None:
    Server(trusted_proxies="127.0.0.1")


@wrong("no IP address or network", "'10.0.0.0/8'", place="'nginx' in trusted_proxies=", error=ValueError)
def a_trusted_proxy_by_its_name(server: Any) -> None:
    Server(trusted_proxies=["nginx"])


@wrong("such as a class or `dict`", place="state={}")
def one_state_for_all_clients(server: Any) -> None:
    Server(state={})


@wrong("Broker", place="broker='redis://")
def a_broker_by_its_address(server: Any) -> None:
    Server(broker="redis://localhost")


@wrong("is no directory", "Path(__file__)", place="static: 'nowhere'")
def static_files_from_nowhere(server: Any) -> None:
    server.static("/", "nowhere")


@wrong("must begin with '/'", place="static: the url 'files'")
def static_files_without_a_slash(server: Any) -> None:
    server.static("files", ".")


@wrong.parametrize
def test_the_error_for_a_wrong_option_says_which_it_is_and_what_to_write(
    case: WrongUse, caplog: pytest.LogCaptureFixture
) -> None:
    case.judge(caplog)
