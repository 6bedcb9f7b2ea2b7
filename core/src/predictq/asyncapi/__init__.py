"""The AsyncAPI document: the topics of an installation and the messages on them, told from the code that runs."""

from predictq.asyncapi.document import asyncapi_document

__all__ = ["asyncapi_document"]
