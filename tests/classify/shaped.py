"""Errors of the shapes that libraries give them, for tests that need no library."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any


class ShapedError(Exception):
    """An error with the attributes that a test gives it."""


def shaped(class_name: str = "ShapedError", /, **attributes: object) -> Exception:
    """Return an error with these attributes, of a class with that name."""
    error: Exception = type(class_name, (ShapedError,), {})("shaped")
    for name, value in attributes.items():
        setattr(error, name, value)
    return error


def answered(status: int, headers: Any = (), **attributes: object) -> Exception:
    """Return an error as httpx and requests have it."""
    return shaped(response=SimpleNamespace(status_code=status, headers=headers), **attributes)


def of_aws(code: object, status: object = 400, headers: Mapping[str, str] | None = None) -> Exception:
    """Return an error as botocore has it."""
    metadata = {"HTTPStatusCode": status, "HTTPHeaders": headers or {}}
    return shaped(response={"Error": {"Code": code}, "ResponseMetadata": metadata})


def of_grpc(code: str, metadata: Any = None, class_name: str = "RpcError") -> Exception:
    """Return an error that is a gRPC call, too."""
    return shaped(
        class_name,
        code=lambda: SimpleNamespace(name=code),
        details=lambda: "",
        trailing_metadata=lambda: metadata,
    )


def of_google(*details: object, status: int = 429) -> Exception:
    """Return an error as google-genai has it."""
    error = {"code": status, "message": "", "status": "RESOURCE_EXHAUSTED", "details": list(details)}
    return shaped(code=status, status="RESOURCE_EXHAUSTED", details={"error": error})


def quota(quota_id: object) -> dict[str, object]:
    """Return what Google says of a quota."""
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": quota_id}]}


def retry_info(delay: object) -> dict[str, object]:
    """Return what Google says of when to come back."""
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
