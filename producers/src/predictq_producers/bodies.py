"""Bodies of HTTP requests, read whole within a bound."""

from fastapi import Request

from predictq_producers.refusals import Fault, Refused

__all__ = ["read_body"]


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The whole body, given up as soon as it is known to be too large. Raises Refused(413).

    The bound is that of the setting `gateway.max_body_bytes`.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and (len(announced) > 18 or int(announced) > max_bytes):
        raise _too_large(max_bytes)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max_bytes:
            raise _too_large(max_bytes)
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(max_bytes: int) -> Refused:
    fault = Fault("", f"at most {max_bytes} bytes (gateway.max_body_bytes) would be right; send several requests")
    return Refused(413, "the body is too large", [fault])
