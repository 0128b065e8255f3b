"""What is wrong with the value of a setting, in words."""

from __future__ import annotations

from typing import Any

from pydantic_core import PydanticCustomError

_KINDS = {"decimal_parsing": "an amount", "bool_parsing": "on or off"}


def of_setting(name: str, wrong: str) -> PydanticCustomError:
    """Return the error of a setting that does not go with another one."""
    return PydanticCustomError("shs_settings_together", "{wrong}", {"name": name, "wrong": wrong})


def what_is_wrong(detail: Any) -> str:
    """Return the end of a sentence that begins with the variable, from one of pydantic's errors."""
    limits = detail.get("ctx", {})
    match detail["type"]:
        case "greater_than_equal":
            return f"is less than {limits['ge']}"
        case "less_than_equal":
            return f"is more than {limits['le']}"
        case "int_parsing" | "int_type" | "int_from_float" | "decimal_parsing" | "bool_parsing" as kind:
            return f"is not {_KINDS.get(kind, 'a whole number')}"
        case "value_error":
            return str(limits["error"])
        case "shs_settings_together":
            return str(limits["wrong"])
        case _:
            return f"cannot be used: {detail['msg']}"
