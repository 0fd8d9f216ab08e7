"""How a form field is drawn: classes, and what connects it to its help and its errors. Knows no particular form."""

from __future__ import annotations

from typing import Any

from django.forms import BoundField, CheckboxInput, CheckboxSelectMultiple, RadioSelect, Select, Textarea


def drawn(bound: BoundField) -> dict[str, Any]:
    """What `components/field.html` needs: `field`, its `control` as HTML, `check` (one box), `many` (several)."""
    widget = bound.field.widget
    many = isinstance(widget, RadioSelect | CheckboxSelectMultiple)
    check = isinstance(widget, CheckboxInput)
    css = (
        "" if many else "form-check-input" if check else "form-select" if isinstance(widget, Select) else "form-control"
    )
    parts = (("help", bound.help_text), ("error", bound.errors))
    described = [f"{bound.id_for_label}-{part}" for part, there in parts if there]
    names = [css, "is-invalid" if bound.errors and not many else "", str(widget.attrs.get("class", ""))]
    attributes: dict[str, str | bool] = {"class": " ".join(name for name in names if name)}
    if described:
        attributes["aria-describedby"] = " ".join(described)
    if bound.errors:
        attributes["aria-invalid"] = "true"
    if isinstance(widget, Textarea):
        attributes["rows"] = str(widget.attrs.get("rows", 4))
    return {"field": bound, "control": bound.as_widget(attrs=attributes), "check": check, "many": many}
