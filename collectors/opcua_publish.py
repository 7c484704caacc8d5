"""The library's session, except that what is published and read of history is decoded in columns where it can be."""

from __future__ import annotations

from collections.abc import Callable

from asyncua import Client, ua
from asyncua.client.ua_session import UaSession
from asyncua.ua.ua_binary import struct_from_binary
from asyncua.ua.uaerrors import BadSessionClosed, BadSessionIdInvalid

from collectors.opcua_columns import Columns, columns_of
from collectors.opcua_fast import history_results, publish_result


class ColumnSession(UaSession):  # type: ignore[misc]  # the library is not checked
    """A session whose notifications of data are `Columns` (items: client handles), and history likewise.

    `on_ended` is called where the server has ended it, which the library would only log, and ask again for ever.
    """

    def __init__(self, client: Client, on_ended: Callable[[Exception], None]) -> None:
        super().__init__(client)
        self._on_ended = on_ended

    async def publish(self, acks: list[ua.SubscriptionAcknowledgement]) -> ua.PublishResponse:
        """Ask for the next message of any subscription and wait for it, for ever."""
        request = ua.PublishRequest()
        request.Parameters.SubscriptionAcknowledgements = acks
        try:
            data = await self._send_request(request, timeout=0)
        except (BadSessionIdInvalid, BadSessionClosed) as error:
            self._on_ended(ConnectionError(f"the server has ended the session ({type(error).__name__})"))
            raise
        return publish_response(bytes(data))

    async def history_read(self, params: ua.HistoryReadParameters) -> list[ua.HistoryReadResult]:
        """Return a result for each node, its data as `Columns` (items: positions in the request)."""
        request = ua.HistoryReadRequest()
        request.Parameters = params
        data = await self._send_request(request)
        return history_response(bytes(data))


def use_columns(client: Client, on_ended: Callable[[Exception], None]) -> None:
    """Let a client that is not yet connected have a session of this kind."""
    client.uaclient.session = ColumnSession(client.uaclient, on_ended)


def publish_response(body: bytes) -> ua.PublishResponse:
    """Return a decoded PublishResponse; raises what the library raises for bytes that are none."""
    result = publish_result(body)
    if result is not None:
        return ua.PublishResponse(Parameters=result)
    response = struct_from_binary(ua.PublishResponse, ua.utils.Buffer(body))
    message = response.Parameters.NotificationMessage
    message.NotificationData = [_changes(part) for part in message.NotificationData or ()]
    return response


def history_response(body: bytes) -> list[ua.HistoryReadResult]:
    """Return the results of a HistoryReadResponse; raises what the library raises for bytes that are none."""
    results = history_results(body)
    if results is not None:
        return results
    response = struct_from_binary(ua.HistoryReadResponse, ua.utils.Buffer(body))
    response.ResponseHeader.ServiceResult.check()
    for position, result in enumerate(response.Results or ()):
        values = result.HistoryData.DataValues if isinstance(result.HistoryData, ua.HistoryData) else None
        result.HistoryData = columns_of((position, value) for value in values or ())
    return list(response.Results or ())


def _changes(part: object) -> Columns | object:
    if not isinstance(part, ua.DataChangeNotification):
        return part
    return columns_of((change.ClientHandle, change.Value) for change in part.MonitoredItems or ())
