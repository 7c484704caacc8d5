"""Apprise with real parts: a mail server, a webhook, a proxy, robots that refuse with 200; no secret is ever told."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
import pytest
import requests

from config.errors import Rejected, Unavailable
from config.notify import AppriseChannel as Config
from config.words import Language
from sinks.notify.apprise_channel import AppriseChannel, hidden
from sinks.notify.apprise_process import _ROBOTS, _answered, plain
from tests.services.ports import free_port
from tests.services.smtp import Mailbox
from tests.sinks.notify_parts import NOW, episode, message, words

SECRET = "s3cr3t-pass"


@dataclass
class Receiver:
    """An HTTP server that remembers, answers as told, and passes on what is asked of it as of a proxy."""

    status: int = 200
    answer: bytes = b"{}"
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.asked.append(("POST", self.path, dict(self.headers), body))
            status, answer = receiver.status, receiver.answer
            if self.path.startswith("http://"):  # a proxy is asked for the whole address
                host, _, path = self.path.removeprefix("http://").partition("/")
                onward = HTTPConnection(host, timeout=60)
                onward.request("POST", f"/{path}", body, {"Content-Type": "application/json"})
                response = onward.getresponse()
                status, answer = response.status, response.read()
            self._answer(status, answer)

        def do_GET(self) -> None:
            receiver.asked.append(("GET", self.path, dict(self.headers), b""))
            self._answer(200, b"<html>log in</html>")

        def _answer(self, status: int, answer: bytes) -> None:
            self.send_response(status)
            if status in (301, 302, 303):
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None: ...

    return Handler


@pytest.fixture
def receive() -> Iterator[Callable[..., Receiver]]:
    servers: list[ThreadingHTTPServer] = []

    def start(status: int = 200, answer: bytes = b"{}") -> Receiver:
        receiver = Receiver(status, answer)
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(receiver))
        receiver.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return receiver

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppriseChannel]:
    def make(url: str, language: Language = "en", **known: Any) -> AppriseChannel:
        monkeypatch.setenv("TANFLOW_TEST_URL", url)
        config = Config.model_validate({"type": "apprise", "url": {"env": "TANFLOW_TEST_URL"}, **known})
        return AppriseChannel(config, words(language))

    return make


async def test_a_mail_in_chinese_says_that_it_fires_and_that_it_is_over(
    start_smtp: Callable[..., Mailbox], channel: Callable[..., AppriseChannel]
) -> None:
    box = start_smtp(password=True)
    url = f"mailto://gateway:{SECRET}@127.0.0.1:{box.port}/?from=gateway@plant.example&to=shift@plant.example&mode=insecure"
    over = episode(ended_ns=NOW, energy_kwh=12.48)
    async with channel(url, "zh-CN") as mail:
        await mail.send(message(episode(), number="plant-mail-1"))
        await mail.send(message(over, what="resolved", number="plant-mail-2"))
        await mail.send(message(over, what="resolved", number="plant-mail-2"))
    first, second, again = box.mails
    assert first["Subject"] == "【警告】hall furnace：超出限值（high）"
    assert first["To"] == "shift@plant.example"
    assert text_of(first).splitlines() == [
        "【警告】hall furnace",
        "超出限值（high）",
        "开始时间：2026-09-21 22:12（Asia/Shanghai）",
        "当前值：412 kW，限值：350 kW",
        "每小时损失：62.4 kWh，31.2 kg CO₂e，49.9 CNY",
        "处理建议：Lower the holding temperature.",
        "http://gateway:8800/#/alerts/furnace.high@7",
        "编号：furnace.high@7",
        "",
        "plant · plant-mail-1",
    ]
    assert second["Subject"] == "【已恢复】hall furnace：超出限值（high）"
    assert "时间：2026-09-21 22:12 至 2026-09-21 22:13（Asia/Shanghai）" in text_of(second)
    assert "累计多耗 12.5 kWh" in text_of(second)
    assert second["Message-ID"] == again["Message-ID"] != first["Message-ID"]
    assert (first["X-Tanflow-Id"], second["X-Tanflow-Id"]) == ("plant-mail-1", "plant-mail-2")


def text_of(mail: Any) -> str:
    """Return the plain text a reader sees."""
    part = mail.get_body(preferencelist=("plain",))
    content: str = part.get_content()
    return content.strip()


async def test_a_webhook_gets_json_with_the_id(
    receive: Callable[..., Receiver], channel: Callable[..., AppriseChannel]
) -> None:
    receiver = receive()
    async with channel(f"json://user:{SECRET}@127.0.0.1:{receiver.port}/hook") as hook:
        await hook.send(message(episode(), episode("press", "critical")))
    ((_, path, headers, body),) = receiver.asked
    said = orjson.loads(body)
    assert (path, headers["X-Tanflow-Id"], said["id"]) == ("/hook", "plant-mail-1", "plant-mail-1")
    assert said["title"] == "plant: 2 alerts firing, 0 over"
    assert said["type"] == "failure"
    assert "press.high@7" in said["message"]
    assert "furnace.high@7" in said["message"]


async def test_through_the_proxy_of_the_plant(
    receive: Callable[..., Receiver], channel: Callable[..., AppriseChannel]
) -> None:
    receiver, proxy = receive(), receive()
    url = f"json://127.0.0.1:{receiver.port}/hook"
    async with channel(url, proxy=f"http://127.0.0.1:{proxy.port}") as hook:
        await hook.send(message(episode()))
    assert [path for _, path, _, _ in proxy.asked] == [f"http://127.0.0.1:{receiver.port}/hook"]
    assert len(receiver.asked) == 1


@pytest.mark.parametrize(
    ("status", "error"), [(400, Rejected), (403, Rejected), (404, Rejected), (429, Unavailable), (500, Unavailable)]
)
async def test_what_an_answer_means(
    status: int, error: type[Exception], receive: Callable[..., Receiver], channel: Callable[..., AppriseChannel]
) -> None:
    receiver = receive(status, b"hook t0ken-in-path of user and s3cr3t-pass is wrong")
    async with channel(f"json://user:{SECRET}@127.0.0.1:{receiver.port}/t0ken-in-path") as hook:
        with pytest.raises(error, match=f"HTTP {status}") as caught:
            await hook.send(message(episode()))
    assert SECRET not in str(caught.value)
    assert "t0ken-in-path" not in str(caught.value)


@pytest.mark.parametrize("status", [301, 302])
async def test_a_message_left_behind_at_an_address_that_leads_elsewhere_is_not_taken(
    status: int, receive: Callable[..., Receiver], channel: Callable[..., AppriseChannel]
) -> None:
    """What leads elsewhere is asked there with GET, without the message; the page that answers 200 has not taken it."""
    receiver = receive(status)
    async with channel(f"json://127.0.0.1:{receiver.port}/hook") as hook:
        with pytest.raises(Unavailable, match=f"HTTP {status}: it leads elsewhere"):
            await hook.send(message(episode()))
    assert [(method, path) for method, path, _, _ in receiver.asked] == [("POST", "/hook"), ("GET", "/elsewhere")]


async def test_what_sees_elsewhere_after_taking_a_message_has_taken_it(
    receive: Callable[..., Receiver], channel: Callable[..., AppriseChannel]
) -> None:
    receiver = receive(303)
    async with channel(f"json://127.0.0.1:{receiver.port}/hook") as hook:
        await hook.send(message(episode()))


async def test_a_bad_address_and_a_wrong_password_are_told_apart_from_an_absent_server(
    start_smtp: Callable[..., Mailbox], channel: Callable[..., AppriseChannel], caplog: pytest.LogCaptureFixture
) -> None:
    box = start_smtp(refuse="nobody@plant.example", password=True)
    tail = "from=gateway@plant.example&to={}&mode=insecure"

    def mail(password: str, to: str, port: int) -> AppriseChannel:
        return channel(f"mailto://gateway:{password}@127.0.0.1:{port}/?{tail.format(to)}")

    with caplog.at_level(logging.DEBUG):
        async with mail(SECRET, "nobody@plant.example", box.port) as one:
            with pytest.raises(Rejected, match="550"):
                await one.send(message(episode()))
        async with mail("wr0ng-pass", "shift@plant.example", box.port) as one:
            with pytest.raises(Rejected, match="535") as refused:
                await one.send(message(episode()))
        async with mail(SECRET, "shift@plant.example", free_port()) as one:
            with pytest.raises(Unavailable, match="refused") as away:
                await one.send(message(episode()))
        async with channel(f"nonsense://user:{SECRET}@host") as one:
            with pytest.raises(Rejected, match="Apprise does not know this address") as unknown:
                await one.send(message(episode()))
    told = f"{caplog.text} {refused.value} {away.value} {unknown.value}"
    assert SECRET not in told
    assert "wr0ng-pass" not in told


class Response:
    """The parts of an HTTP answer that are looked at."""

    def __init__(self, body: bytes) -> None:
        self.status_code, self.reason, self.text, self.headers = 200, "OK", body.decode(), dict[str, str]()

    def json(self) -> Any:
        return orjson.loads(self.text)


@pytest.mark.parametrize(
    ("schema", "body", "refused"),
    [
        ("dingtalk", b'{"errcode":0,"errmsg":"ok"}', None),
        ("dingtalk", b'{"errcode":310000,"errmsg":"keywords not in content"}', True),
        ("dingtalk", b'{"errcode":130101,"errmsg":"send too fast, exceed 20 times per minute"}', False),
        ("wecombot", b'{"errcode":93000,"errmsg":"invalid webhook url"}', True),
        ("wecombot", b'{"errcode":45009,"errmsg":"api freq out of limit"}', False),
        ("feishu", b'{"code":19024,"msg":"Key Words Not Found"}', True),
        ("feishu", b'{"StatusCode":0,"StatusMessage":"success","code":0}', None),
        ("wecombot", b"<html>log in</html>", False),
        ("json", b'{"code":5}', None),
    ],
)
def test_robots_that_answer_200_to_everything(schema: str, body: bytes, refused: bool | None) -> None:
    """Codes: DingTalk custom robots, WeCom global error codes, Feishu custom bots (their open platforms' documents)."""
    heard = _answered(Response(body), schema)  # type: ignore[arg-type]
    assert (heard.refused if heard else None) == refused
    assert schema in _ROBOTS or heard is None


@pytest.mark.parametrize(
    ("address", "said", "told"),
    [
        ("mailto://li:pa55word@mail.plant:25/?to=a@b.cn", "pa55word at mail.plant to b.cn", "… at mail.plant to …"),
        ("dingtalk://SEC0abc@0123456789abcdef/138000", "url: /send?access_token=0123456789abcdef", "url: /send?…"),
        ("dingtalk://0123456789abcdef", "0123456789abcdef is wrong", "… is wrong"),
        ("tgram://123456:AAbb-cc/42", "/bot123456:AAbb-cc/sendMessage", "/bot…:…/sendMessage"),
        ("json://127.0.0.1:8080/t0ken?x=p%40ss", "127.0.0.1:8080 t0ken p@ss p%40ss", "127.0.0.1:8080 … … …"),
    ],
)  # fmt: skip
def test_of_an_address_only_the_host_is_ever_told(address: str, said: str, told: str) -> None:
    assert hidden(said, address) == told


async def test_a_plant_with_a_chinese_name(
    receive: Callable[..., Receiver], channel: Callable[..., AppriseChannel], start_smtp: Callable[..., Mailbox]
) -> None:
    receiver, box = receive(), start_smtp()
    told = message(episode("空压机"), number="东莞厂-邮件-1")
    async with channel(f"json://127.0.0.1:{receiver.port}/hook") as hook:
        await hook.send(told)
    async with channel(f"mailto://127.0.0.1:{box.port}/?from=a@plant.example&to=b@plant.example&mode=insecure") as mail:
        await mail.send(told)
    assert "空压机" in orjson.loads(receiver.asked[0][3])["message"]
    assert "东莞厂-邮件-1" in text_of(box.mails[0])


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_service_that_is_away_is_told_without_the_objects_it_went_through(scheme: str) -> None:
    port = free_port()
    with pytest.raises(requests.ConnectionError) as told:
        requests.get(f"{scheme}://127.0.0.1:{port}/hook", timeout=10)
    assert plain(str(told.value)) == f"127.0.0.1:{port}: Connection refused"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "HTTPSConnectionPool(host='h.x', port=443): Max retries exceeded with url: /a (Caused by SSLError("
            "SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed "
            "certificate (_ssl.c:1006)')))",
            "h.x:443: self-signed certificate (_ssl.c:1006)",
        ),
        ("HTTPConnectionPool(host='h', port=80): Read timed out. (read timeout=4.0)",
         "h:80: Read timed out. (read timeout=4.0)"),
        (
            "HTTPConnectionPool(host='h', port=80): Max retries exceeded with url: / (Caused by NameResolutionError("
            "\"HTTPConnection(host='h', port=80): Failed to resolve 'h' ([Errno -2] Name or service not known)\"))",
            "h:80: Name or service not known",
        ),
        ("(535, b'5.7.8 no')", "(535, b'5.7.8 no')"),
    ],
)  # fmt: skip
def test_other_reasons_keep_their_own_words(said: str, told: str) -> None:
    assert plain(said) == told
