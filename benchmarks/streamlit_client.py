"""One session of a Streamlit app without a browser: the messages that a browser would send, over the websocket.

A browser costs more of a small machine than the server does, so many browsers on the server's own machine measure
themselves. The protocol is Streamlit's own (``streamlit.proto``); widgets that were never touched need no state, as the
server then uses what the page's address says.
"""

from __future__ import annotations

import asyncio
import contextlib
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Common_pb2 import UploadedFileInfo
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

XSRF_COOKIE = "_streamlit_xsrf"
MOST_MESSAGE_BYTES = 200_000_000


class Session:
    """What the page of this session holds now, and the ways to act on it. Made by :func:`connect`.

    Attributes:
        elements: the messages of the page's elements, by the place they stand at; emptied when the page runs anew.
        running: is the server drawing the page now?
        polls: how often a fragment of the page was run on a timer.
    """

    def __init__(self, socket: websockets.ClientConnection, url: str, page: str, query: str) -> None:
        self._socket, self._url, self._page, self._query = socket, url, page, query
        self._widgets = BackMsg().rerun_script.widget_states
        self._timers: dict[str, asyncio.Task[None]] = {}
        self._replies: asyncio.Queue[ForwardMsg] = asyncio.Queue()
        self._news = asyncio.Condition()
        self._stale: set[tuple[int, ...]] = set()
        self._id = self._page_hash = ""
        self.elements: dict[tuple[int, ...], object] = {}
        self.running = False
        self.polls = 0

    async def run_page(self, fragment: str = "") -> None:
        """Ask for the page, or for one fragment of it."""
        message = BackMsg()
        state = message.rerun_script
        state.query_string, state.page_name, state.page_script_hash = self._query, self._page, self._page_hash
        state.widget_states.CopyFrom(self._widgets)
        state.fragment_id, state.is_auto_rerun = fragment, bool(fragment)
        await self._socket.send(message.SerializeToString())

    async def upload(self, name: str, data: bytes) -> None:
        """Give one file to the page's uploader. Raises urllib.error.HTTPError when the server refuses it."""
        request = BackMsg()
        request.file_urls_request.request_id = name
        request.file_urls_request.session_id = self._id
        request.file_urls_request.file_names.append(name)
        await self._socket.send(request.SerializeToString())
        urls = (await self._replies.get()).file_urls_response.file_urls[0]
        await asyncio.to_thread(put, self._url, urls.upload_url, name, data)
        uploader = next(each for each in self.elements.values() if is_kind(each, "file_uploader"))
        widget = self._widgets.widgets.add(id=uploader.file_uploader.id)  # type: ignore[attr-defined]
        widget.file_uploader_state_value.uploaded_file_info.append(
            UploadedFileInfo(file_id=urls.file_id, name=name, size=len(data), file_urls=urls)
        )
        await self.run_page()

    async def download(self, label: str) -> str:
        """The text behind the download button of that label, made by the server when asked for.

        Raises urllib.error.HTTPError when the page is drawn anew in that moment, which makes another button.
        """
        buttons = (each.download_button for each in self.elements.values() if is_kind(each, "download_button"))  # type: ignore[attr-defined]
        button = next(each for each in buttons if label in each.label)
        address = button.url
        if not address:
            request = BackMsg()
            request.backend_operation_request.request_id = button.id
            request.backend_operation_request.session_id = self._id
            request.backend_operation_request.deferred_file.file_id = button.deferred_file_id
            await self._socket.send(request.SerializeToString())
            address = (await self._replies.get()).backend_operation_response.deferred_file.url
        return await asyncio.to_thread(read, self._url + address)

    async def wait_until(self, found: Callable[[list[object]], bool], *, seconds: float) -> None:
        """Wait until the elements of the page are as asked. Raises TimeoutError."""
        async with asyncio.timeout(seconds), self._news:
            await self._news.wait_for(lambda: found(list(self.elements.values())))

    async def listen(self) -> None:
        """Keep ``elements`` as the server says, and run fragments when their time has come; until the end."""
        async for data in self._socket:
            message = ForwardMsg.FromString(data if isinstance(data, bytes) else data.encode())
            self._take(message)
            async with self._news:
                self._news.notify_all()

    def _take(self, message: ForwardMsg) -> None:
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self.running = True
            self._id = message.new_session.initialize.session_id or self._id
            if not message.metadata.run.fragment_ids:
                self._stale = set(self.elements)
                self.stop_timers()
        elif kind == "navigation":
            self._page_hash = message.navigation.page_script_hash
        elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            place = tuple(message.metadata.delta_path)
            self.elements[place] = message.delta.new_element
            self._stale.discard(place)
        elif kind == "script_finished":
            self.running = False
            if message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                for place in self._stale:
                    self.elements.pop(place, None)
                self._stale = set()
        elif kind in ("file_urls_response", "backend_operation_response"):
            self._replies.put_nowait(message)
        elif kind == "auto_rerun":
            fragment = message.auto_rerun.fragment_id
            self.stop_timers([fragment])
            self._timers[fragment] = asyncio.create_task(self._poll(fragment, message.auto_rerun.interval))
        elif kind == "stop_auto_rerun":
            self.stop_timers(message.stop_auto_rerun.fragment_ids)

    async def _poll(self, fragment: str, seconds: float) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                await asyncio.sleep(seconds)
                self.polls += 1
                await self.run_page(fragment)

    def stop_timers(self, fragments: Iterable[str] | None = None) -> None:
        """Poll no more: these fragments, or any."""
        for fragment in list(self._timers if fragments is None else fragments):
            if task := self._timers.pop(fragment, None):
                task.cancel()


@asynccontextmanager
async def connect(url: str, page: str, query: str) -> AsyncIterator[Session]:
    """A session of the app at ``url``, showing the page of that name and query. Left when the block ends."""
    address = f"ws://{urlsplit(url).netloc}/_stcore/stream"
    async with websockets.connect(
        address, subprotocols=[websockets.Subprotocol("streamlit")], max_size=MOST_MESSAGE_BYTES, proxy=None
    ) as socket:
        session = Session(socket, url, page, query)
        async with asyncio.TaskGroup() as tasks:  # an error of the listener ends the block
            listener = tasks.create_task(session.listen())
            await session.run_page()
            yield session
            session.stop_timers()
            listener.cancel()


def is_kind(element: object, kind: str) -> bool:
    """Is the element of the page of that kind, as ``streamlit.proto.Element`` calls it?"""
    return bool(element.WhichOneof("type") == kind)  # type: ignore[attr-defined]


def read(address: str) -> str:
    """The text at an address."""
    with urllib.request.urlopen(address, timeout=120) as reply:
        return str(reply.read().decode())


def put(url: str, path: str, name: str, data: bytes) -> None:
    """Upload a file as the browser does: a form with one part, and the token against forged requests."""
    with urllib.request.urlopen(f"{url}/_stcore/health", timeout=60) as reply:
        cookies = str(reply.headers.get("Set-Cookie") or "")
    token = cookies.split(f"{XSRF_COOKIE}=")[1].split(";")[0].strip('"')
    boundary = "cxrlab-benchmark"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n\r\n'
    body = head.encode() + data + f"\r\n--{boundary}--\r\n".encode()
    headers = {
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        "X-Xsrftoken": token,
        "Cookie": f"{XSRF_COOKIE}={token}",
    }
    request = urllib.request.Request(f"{url}{path}", data=body, headers=headers, method="PUT")
    urllib.request.urlopen(request, timeout=120).close()
