"""`tanflow listen mqtt://host/filter`: what a broker carries, and a configuration that reads it; it only listens."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import orjson
import typer
from pydantic import ValidationError
from rich.console import Console

from config.errors import GatewayError, Unavailable
from config.explain import visible
from config.protocols.mqtt import Broker, Tls, check_topic_filter
from config.strict import Secret
from tanflow.commands.options import plain_table
from tanflow.commissioning.mqtt_yaml import suggestion
from tanflow.commissioning.pasted import scalar
from tanflow.commissioning.payload_shapes import Shape, shape
from tanflow.commissioning.sparkplug_heard import NAMESPACE, Sparkplug
from tanflow.commissioning.topics_heard import MOST_TOPICS, Topic, Topics

if TYPE_CHECKING:
    from paho.mqtt.client import MQTTMessage

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)
_PASSWORD: Final = "TANFLOW_PASSWORD"
_VALUES: Final = 12  # of a topic, that are shown
_STATES: Final = (f"{NAMESPACE}STATE/+", "STATE/+")
_TOLD_EVERY_S: Final = 10  # where progress cannot be written over


def listen(
    url: Annotated[str, typer.Argument(help="e.g. 'mqtt://192.168.1.5:1883/plant/#'; mqtts:// is TLS")],
    for_: Annotated[str, typer.Option("--for", help="How long to listen.")] = "30s",
    user: Annotated[str, typer.Option(help=f"Sign in by name; the password is ${_PASSWORD}, or asked.")] = "",
    ca: Annotated[Path | None, typer.Option(help="Whose certificates are trusted; default: the system's.")] = None,
    cert: Annotated[Path | None, typer.Option(help="Our own certificate.")] = None,
    key: Annotated[Path | None, typer.Option(help="The key of our own certificate.")] = None,
    version: Annotated[str, typer.Option(help="MQTT 5, or 3.1.1 for older brokers.")] = "5",
    most: Annotated[int, typer.Option("--max", help="How many topics are shown.", min=1, max=MOST_TOPICS)] = 100,
    yaml: Annotated[bool, typer.Option("--yaml", help="Print only the configuration.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write what was heard as JSON.")] = False,
) -> None:
    """List a broker's topics, how often they speak, what is in them, and suggest a configuration; never publishes."""
    from tanflow.cli import duration

    seconds = duration(for_)
    broker, topic_filter = _parse(url, user, Tls(ca=ca, certificate=cert, key=key), version)
    ear = _Ear(broker, topic_filter)
    err.print(
        f"listens to {topic_filter} on {ear.where} for {seconds:g} s, with QoS 0 as '{broker.client_id}';"
        " publishes nothing and leaves no session behind",
        markup=False,
    )
    asyncio.run(ear.listen(seconds))
    if not ear.topics.messages:
        raise GatewayError(
            f"nothing was published on {topic_filter} within {seconds:g} s, nor is anything retained there;"
            " listen longer, or to #; a broker may also deny a topic without a word"
        )
    told = _Told(ear)
    if as_json:
        print(orjson.dumps(told.data(), option=orjson.OPT_INDENT_2).decode())
    elif yaml:
        out.print(told.configuration(), markup=False, end="")
    else:
        told.show(most)


def _parse(url: str, user: str, tls: Tls, version: str) -> tuple[Broker, str]:
    """Return the broker and the topic filter of a URL; typer.BadParameter for what is none."""
    scheme, _, rest = url.partition("://")
    place, _, topic_filter = rest.partition("/")
    if scheme not in ("mqtt", "mqtts") or not place:
        raise typer.BadParameter(f"'{visible(url)[:80]}' is no broker; write mqtt://host:1883/filter or mqtts://…")
    if "@" in place:
        raise typer.BadParameter(f"no user or password in the URL: say --user; the password is ${_PASSWORD}, or asked")
    if scheme == "mqtt" and (tls.ca or tls.certificate or tls.key):
        raise typer.BadParameter("certificates go with TLS: mqtts://…")
    for file in (tls.ca, tls.certificate, tls.key):
        if file is not None and not file.is_file():
            raise typer.BadParameter(f"there is no file {file}")
    host, _, port = place.rpartition(":") if not place.endswith("]") else (place, "", "")
    topic_filter = topic_filter or "#"
    if user and _PASSWORD not in os.environ:
        os.environ[_PASSWORD] = typer.prompt(f"password of {user}", hide_input=True, err=True)
    try:
        check_topic_filter(topic_filter)
        named: dict[str, Any] = {"username": user, "password": Secret(env=_PASSWORD)} if user else {}
        named |= {"port": port} if host else {}
        named |= {"tls": tls} if scheme == "mqtts" else {}
        name = f"tanflow-listen-{secrets.token_hex(4)}"
        host = (host or place).strip("[]")
        return Broker.model_validate({"host": host, "version": version, "client_id": name, **named}), topic_filter
    except ValidationError as error:
        first = error.errors()[0]
        raise typer.BadParameter(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


class _Ear:
    """A subscription for a while, and what came by it."""

    def __init__(self, broker: Broker, topic_filter: str) -> None:
        self.broker = broker
        self.filter = topic_filter
        self.topics = Topics()
        self.sparkplug = Sparkplug()
        self.where = f"{'mqtts' if broker.tls else 'mqtt'}://{broker.host}{f':{broker.port}' if broker.port else ''}"
        self._refused = ""
        self._end = asyncio.Event()

    async def listen(self, seconds: float) -> None:
        """Take what comes until the time is over or Ctrl-C. Raises GatewayError where the broker does not let us."""
        from collectors.mqtt_link import Link, Session

        link = Link(self.broker, Session(qos=0), lambda _: None, self._subscribed, self._message, self._end.set)
        extra = [f for f in _STATES if self.filter.startswith(NAMESPACE)]
        try:
            await link.open([self.filter, *(f for f in extra if f != self.filter)])
        except Unavailable as error:
            old = "; an older broker? say --version 3.1.1" if self.broker.version == "5" else ""
            raise GatewayError(f"{error}{old}") from None
        with suppress(NotImplementedError, ValueError):
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self._end.set)
        await self._wait(seconds)
        failure = link.failure
        link.close()
        if sys.stderr.isatty():
            err.print()
        if self._refused:
            raise GatewayError(self._refused)
        if failure is not None and not self.topics.messages:
            raise GatewayError(str(failure))
        if failure is not None:
            err.print(f"{failure}; what came before follows", markup=False)

    async def _wait(self, seconds: float) -> None:
        began = told = time.monotonic()
        while (left := began + seconds - time.monotonic()) > 0 and not self._end.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(min(1.0, left)):
                    await self._end.wait()
            now = time.monotonic()
            said = f"{now - began:.0f} of {seconds:g} s: {self.topics.messages} messages"
            said += f" on {len(self.topics.known)}{'+' if self.topics.beyond else ''} topics"
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{said}  ")
                sys.stderr.flush()
            elif now - told >= _TOLD_EVERY_S:
                told = now
                err.print(said, markup=False)

    def _subscribed(self, refused: dict[str, str]) -> None:
        if self.filter in refused:
            self._refused = f"{self.where} denies '{self.filter}': {refused[self.filter]}; grant the user this topic"
            self._end.set()

    def _message(self, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return
        payload = bytes(message.payload)
        self.sparkplug.note(topic, payload)
        self.topics.note(topic, payload, bool(message.retain), time.time_ns())


class _Told:
    """What was heard, as a person or a program reads it."""

    def __init__(self, ear: _Ear) -> None:
        self._ear = ear
        now_ns = time.time_ns()
        self._topics = sorted(ear.topics.known.values(), key=lambda topic: topic.name)
        self._shapes: dict[str, Shape] = {
            t.name: shape(t.payload, now_ns)
            for t in self._topics
            if t.payload is not None and not t.name.startswith((NAMESPACE, "STATE/"))
        }

    def configuration(self, host: str = "") -> str:
        """Return the suggested configuration; with `host` tanflow publishes STATE as that one."""
        parts = []
        ear = self._ear
        if self._shapes or not ear.sparkplug.sources:
            parts.append(suggestion(self._connection("mqtt"), self._shapes))
        if ear.sparkplug.sources:
            allowed = {"host_id": host, "publish_state": True} if host else {}
            parts.append(ear.sparkplug.suggestion(self._connection("sparkplug") | allowed))
        return "---\n".join(parts)

    def _connection(self, protocol: Literal["mqtt", "sparkplug"]) -> dict[str, Any]:
        said = self._ear.broker.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        return {"protocol": protocol} | {k: v for k, v in said.items() if k != "client_id"}

    def data(self) -> dict[str, Any]:
        """Return all of it as data."""
        ear = self._ear
        return {
            "broker": ear.where,
            "filter": ear.filter,
            "messages": ear.topics.messages,
            "messages_on_further_topics": ear.topics.beyond,
            "topics": [self._topic(topic) for topic in self._topics],
            "sparkplug": {
                "hosts": ear.sparkplug.hosts,
                "sources": {
                    name: {"last": s.last, "metrics": [_metric(m) for m in s.metrics], "more": s.more}
                    for name, s in ear.sparkplug.sources.items()
                },
                "unreadable": ear.sparkplug.bad,
                "withheld": ear.sparkplug.withheld(),
            },
            "configuration": self.configuration(),
        }

    def _topic(self, topic: Topic) -> dict[str, Any]:
        found = self._shapes.get(topic.name)
        values = [{"path": v.path, "kind": v.kind, "example": v.example} for v in found.leaves] if found else []
        return {
            "topic": topic.name,
            "messages": topic.count,
            "retained": topic.retained,
            "every_s": topic.every_s,
            "bytes": topic.size,
            "payload": self._kind(topic),
            "values": values,
            "time_path": found.time if found else "",
            "time_format": found.form if found else "",
        }

    def _kind(self, topic: Topic) -> str:
        if topic.name.startswith((NAMESPACE, "STATE/")):
            return "Sparkplug B"
        found = self._shapes.get(topic.name)
        return found.kind if found else "too long to look at"

    # ── for a person ──────────────────────────────────────────────────────────────────────────────

    def show(self, most: int) -> None:
        """Print the topics, what is in them, what Sparkplug nodes say, and the configuration."""
        table = plain_table("topic", "messages", "every", "payload")
        for topic in self._topics[:most]:
            every = "" if topic.every_s is None else f"{topic.every_s:.3g} s"
            old = f" ({topic.retained} retained)" if topic.retained else ""
            table.add_row(visible(topic.name), f"{topic.count}{old}", every, self._kind(topic))
        out.print(table, markup=False)
        beyond = self._ear.topics.beyond
        if beyond or len(self._topics) > most:
            more = f"{len(self._topics) - most} more topics" if len(self._topics) > most else ""
            uncounted = f"{beyond} messages on topics beyond the first {MOST_TOPICS}" if beyond else ""
            out.print(f"… and {' and '.join(filter(None, (more, uncounted)))}; name a narrower filter", markup=False)
        self._show_shapes(most)
        host = self._show_sparkplug()
        out.print("\n# a configuration to begin with; what is not certain is a comment")
        out.print(self.configuration(host), markup=False, end="")

    def _show_shapes(self, most: int) -> None:
        """Print each form of payload once, with the topics that have it."""
        alike: dict[tuple[object, ...], list[str]] = {}
        for name, found in list(self._shapes.items())[:most]:
            alike.setdefault(found.key, []).append(name)
        for names in alike.values():
            found = self._shapes[names[0]]
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            out.print(f"\n{visible(names[0])}{more}: {found.kind}", markup=False)
            for leaf in found.leaves[:_VALUES]:
                note = f"  ← its time, {found.form}. {found.offset}" if found.time and leaf.path == found.time else ""
                out.print(f"  {visible(f'{leaf.path} = {leaf.example}  ({leaf.kind}){note}')}", markup=False)
            if len(found.leaves) > _VALUES:
                out.print(f"  … {len(found.leaves) - _VALUES} more values", markup=False)

    def _show_sparkplug(self) -> str:
        """Print what Sparkplug nodes said; return the host tanflow is to be, where the user allows it."""
        heard = self._ear.sparkplug
        for name, source in heard.sources.items():
            out.print(f"\nSparkplug B {visible(name)}: last {source.last}", markup=False)
            for born in source.metrics[:_VALUES]:
                out.print(f"  {visible(f'{born.name} = {born.value} {born.unit}  ({born.type})')}", markup=False)
            if len(source.metrics) > _VALUES:
                out.print(f"  … {len(source.metrics) + source.more - _VALUES} more metrics", markup=False)
        for words in (*heard.withheld(), *(f"{topic}: {why}" for topic, why in list(heard.bad.items())[:20])):
            out.print(visible(words), markup=False)
        for host in heard.awaited:
            asked = f"is tanflow to be '{visible(host)}', so that it publishes STATE and these nodes speak?"
            if sys.stdin.isatty() and typer.confirm(asked, default=False, err=True):
                return host
            allow = f"host_id: {scalar(host)}, publish_state: true"
            out.print(f"if no other system is this host, let tanflow be: {allow} on its connection", markup=False)
        return ""


def _metric(born: Any) -> dict[str, str]:
    return {"name": born.name, "type": born.type, "value": born.value, "unit": born.unit}
