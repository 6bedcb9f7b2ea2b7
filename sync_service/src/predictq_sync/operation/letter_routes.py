"""Dead letters over HTTP. They are read only."""

from collections.abc import Collection

from fastapi import APIRouter, HTTPException, Response
from pydantic_core import to_json

from predictq_sync.operation.answering import Limit, known, responses, shared_answer
from predictq_sync.operation.letters import LetterDetail, LetterPage, LetterReader
from predictq_sync.operation.questions import Questions

__all__ = ["add_letter_routes"]


def add_letter_routes(
    router: APIRouter, letters: LetterReader, questions: Questions, *, endpoints: Collection[str]
) -> None:
    """Add the routes."""

    @router.get(
        "/v1/dead-letters",
        tags=["operation"],
        summary="List dead letters",
        operation_id="list_dead_letters",
        response_class=Response,
        responses=responses(LetterPage, 400, "An endpoint, state or cursor that is none.", "A limit"),
    )
    async def list_dead_letters(
        endpoint: str | None = None, state: str | None = None, limit: Limit = 50, cursor: str | None = None
    ) -> Response:
        """The latest first; `next` is the cursor of the page that follows, which a short or empty page may have too."""
        among = None if endpoint is None else known(endpoint, endpoints)
        return await shared_answer(
            questions,
            ("letters", among, state, limit, cursor),
            lambda: letters.page(endpoint=among, state=state, cursor=cursor, limit=limit),
        )

    @router.get(
        "/v1/dead-letters/{letter_id}",
        tags=["operation"],
        summary="Show a dead letter",
        operation_id="show_dead_letter",
        response_class=Response,
        responses=responses(LetterDetail, 404, "No such dead letter, or kept no longer."),
    )
    async def show_dead_letter(letter_id: str) -> Response:
        """The same with its headers and body."""
        letter = await questions.read(lambda: letters.one(letter_id))
        if letter is None:
            raise HTTPException(404, "there is no such dead letter; it may be kept no longer")
        return Response(to_json(letter), 200, media_type="application/json")
