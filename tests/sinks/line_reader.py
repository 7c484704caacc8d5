"""A reader of line protocol, by the published grammar and independent of the encoder."""

from __future__ import annotations

Value = float | int | bool | str


class Reader:
    """One line, read from left to right."""

    def __init__(self, line: bytes) -> None:
        self.text, self.at = line.decode(), 0

    def name(self, escapes: str, stops: str) -> str:
        """Return what stands before an unescaped stop, without its escapes."""
        out = ""
        while self.at < len(self.text) and self.text[self.at] not in stops:
            if self.text[self.at] == "\\" and self.text[self.at + 1 : self.at + 2] in [*escapes]:
                self.at += 1
            out += self.text[self.at]
            self.at += 1
        return out

    def skip(self, char: str) -> bool:
        found = self.text[self.at : self.at + 1] == char
        self.at += found
        return found

    def value(self) -> str:
        """Return the text of a field value, quotes and escapes included."""
        start = self.at
        if self.skip('"'):
            self.name('"\\', '"')
            assert self.skip('"')
        else:
            self.name("", ", ")
        return self.text[start : self.at]


def read_value(text: str) -> Value:
    if text[0] == '"':
        return Reader(text[1:-1].encode()).name('"\\', "")
    if text in ("true", "false"):
        return text == "true"
    return int(text[:-1]) if text.endswith("i") else float(text)


def read_texts(line: bytes) -> tuple[str, list[tuple[str, str]], dict[str, str], int]:
    """Return (measurement, tags, fields as they are written, time) of one line."""
    reader = Reader(line)
    measurement, tags = reader.name(", ", ", "), []
    fields: dict[str, str] = {}
    while reader.skip(","):
        key = reader.name(", =", ", =")
        assert reader.skip("=")
        tags.append((key, reader.name(", =", ", =")))
    assert reader.skip(" ")
    while not fields or reader.skip(","):
        key = reader.name(", =", ", =")
        assert reader.skip("=")
        fields[key] = reader.value()
    assert reader.skip(" ")
    return measurement, tags, fields, int(reader.text[reader.at :])


def read(line: bytes) -> tuple[str, list[tuple[str, str]], dict[str, Value], int]:
    """Return (measurement, tags, fields, time) of one line."""
    measurement, tags, fields, time_ns = read_texts(line)
    return measurement, tags, {key: read_value(text) for key, text in fields.items()}, time_ns
