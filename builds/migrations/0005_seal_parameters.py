"""What builds were started and answered with is encrypted at rest: some of it are passwords."""

from __future__ import annotations

from typing import Any

from django.db import migrations

import fangduoduo_release.common.fields

COLUMNS = (("Build", "parameters", {}), ("InputRequest", "values", None))


def seal(apps: Any, schema_editor: Any) -> None:
    """Copy what is written in plain; rows without anything keep the new column's default."""
    for name, field, empty in COLUMNS:
        rows = apps.get_model("builds", name)._default_manager.exclude(**{f"{field}__isnull": True})
        for row in rows.exclude(**{field: empty or {}}).only("pk", field).iterator(chunk_size=500):
            rows.filter(pk=row.pk).update(**{f"sealed_{field}": getattr(row, field)})


def unseal(apps: Any, schema_editor: Any) -> None:
    for name, field, empty in COLUMNS:
        rows = apps.get_model("builds", name)._default_manager.all()
        for row in rows.only("pk", f"sealed_{field}").iterator(chunk_size=500):
            if getattr(row, f"sealed_{field}") not in (empty, {}):
                rows.filter(pk=row.pk).update(**{field: getattr(row, f"sealed_{field}")})


class Migration(migrations.Migration):
    dependencies = [("builds", "0004_find_by_commit")]

    operations = [
        migrations.AddField(
            model_name="build",
            name="sealed_parameters",
            field=fangduoduo_release.common.fields.EncryptedJSONField(blank=True, default=dict, editable=False),
        ),
        migrations.AddField(
            model_name="inputrequest",
            name="sealed_values",
            field=fangduoduo_release.common.fields.EncryptedJSONField(blank=True, editable=False, null=True),
        ),
        migrations.RunPython(seal, unseal),
        migrations.RemoveField(model_name="build", name="parameters"),
        migrations.RemoveField(model_name="inputrequest", name="values"),
        migrations.RenameField(model_name="build", old_name="sealed_parameters", new_name="parameters"),
        migrations.RenameField(model_name="inputrequest", old_name="sealed_values", new_name="values"),
    ]
