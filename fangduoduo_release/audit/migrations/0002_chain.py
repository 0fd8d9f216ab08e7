"""Chain the trail: rows that exist already are signed as they are, in the order of their ids.

The triggers live in the database alone: a later migration that makes SQLite rebuild `audit_auditentry` or
`audit_audithead` has to call `lock` again at its end (`tests/audit/test_guard.py` would find it).
"""

from django.db import migrations, models

from fangduoduo_release.audit import chain, fields, verifying

SAID = "the audit trail is append-only"
# kind: the words of its label before the first space are the project's slug
SLUG_FIRST = {
    "projects.project",
    "builds.build",
    "builds.credential",
    "deployments.deployment",
    "projects.machinegrant",
}

SQLITE = [
    "CREATE TABLE audit_door (open integer NOT NULL)",
    *(
        f"CREATE TRIGGER audit_entry_{word} BEFORE {word} ON audit_auditentry "
        f"WHEN NOT EXISTS (SELECT 1 FROM audit_door) BEGIN SELECT RAISE(ABORT, '{SAID}'); END"
        for word in ("update", "delete")
    ),
    # REPLACE removes rows without asking a trigger for deletions.
    "CREATE TRIGGER audit_entry_insert BEFORE INSERT ON audit_auditentry "
    "WHEN EXISTS (SELECT 1 FROM audit_auditentry WHERE id = NEW.id OR seq = NEW.seq) "
    f"AND NOT EXISTS (SELECT 1 FROM audit_door) BEGIN SELECT RAISE(ABORT, '{SAID}'); END",
    "CREATE TRIGGER audit_head_update BEFORE UPDATE ON audit_audithead "
    "WHEN NOT (NEW.id = OLD.id AND NEW.seq = OLD.seq + 1) "
    f"AND NOT EXISTS (SELECT 1 FROM audit_door) BEGIN SELECT RAISE(ABORT, '{SAID}'); END",
    "CREATE TRIGGER audit_head_delete BEFORE DELETE ON audit_audithead "
    f"WHEN NOT EXISTS (SELECT 1 FROM audit_door) BEGIN SELECT RAISE(ABORT, '{SAID}'); END",
    "CREATE TRIGGER audit_head_insert BEFORE INSERT ON audit_audithead "
    "WHEN EXISTS (SELECT 1 FROM audit_audithead) "
    f"AND NOT EXISTS (SELECT 1 FROM audit_door) BEGIN SELECT RAISE(ABORT, '{SAID}'); END",
]
POSTGRESQL = [
    "CREATE TABLE audit_door (open integer NOT NULL)",
    f"""
    CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT 1 FROM audit_door) THEN
            IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
            RETURN NEW;
        END IF;
        RAISE EXCEPTION '{SAID}' USING ERRCODE = 'restrict_violation';
    END $$
    """,
    "CREATE TRIGGER audit_entry_rows BEFORE UPDATE OR DELETE ON audit_auditentry FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
    "CREATE TRIGGER audit_entry_all BEFORE TRUNCATE ON audit_auditentry FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()",
    "CREATE TRIGGER audit_head_update BEFORE UPDATE ON audit_audithead FOR EACH ROW "
    "WHEN (NOT (NEW.id = OLD.id AND NEW.seq = OLD.seq + 1)) EXECUTE FUNCTION audit_refuse()",
    "CREATE TRIGGER audit_head_delete BEFORE DELETE ON audit_audithead FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
    "CREATE TRIGGER audit_head_all BEFORE TRUNCATE ON audit_audithead FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()",
]
UNLOCK = {
    "sqlite": [f"DROP TRIGGER IF EXISTS audit_{name}" for name in (
        "entry_update", "entry_delete", "entry_insert", "head_update", "head_delete", "head_insert",
    )] + ["DROP TABLE audit_door"],
    "postgresql": ["DROP FUNCTION audit_refuse() CASCADE", "DROP TABLE audit_door"],
}  # fmt: skip


def chain_up(apps, schema_editor):
    """Sign what is there, reading it as it will be read to verify it."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT id, object_kind, object_label FROM audit_auditentry")
        slugs = [(label.split(" ")[0][:50], pk) for pk, kind, label in cursor.fetchall() if kind in SLUG_FIRST]
        cursor.executemany("UPDATE audit_auditentry SET project = %s WHERE id = %s", slugs)
        seq, previous, last = 0, chain.NOTHING, 0
        for row in list(verifying.rows(verifying.FIRST_ID, 2**63 - 1)):
            content = list(row[:-1])
            key = chain.signing_key()
            seq, last = seq + 1, content[2]
            content[0], content[1], content[-1] = previous, seq, key
            digest = chain.sign(chain.keyring()[key], content)
            cursor.execute(
                "UPDATE audit_auditentry SET seq = %s, previous = %s, digest = %s, key = %s WHERE id = %s",
                [seq, previous, digest, key, last],
            )
            previous = digest
    if seq:
        apps.get_model("audit", "AuditHead").objects.create(pk=1, **chain.head_at(seq, last, previous))


def lock(apps, schema_editor):
    for statement in SQLITE if schema_editor.connection.vendor == "sqlite" else POSTGRESQL:
        schema_editor.execute(statement)


def unlock(apps, schema_editor):
    for statement in UNLOCK[schema_editor.connection.vendor]:
        schema_editor.execute(statement)


def _char(length, **more):
    return models.CharField(max_length=length, **more)


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]

    operations = [
        migrations.AlterField("auditentry", "at", models.DateTimeField(db_index=True)),
        migrations.AlterField("auditentry", "before", fields.JSONText(null=True)),
        migrations.AlterField("auditentry", "after", fields.JSONText(null=True)),
        migrations.AddField("auditentry", "project", _char(50, blank=True, default="")),
        migrations.AddField("auditentry", "seq", models.BigIntegerField(null=True)),
        migrations.AddField("auditentry", "key", _char(16, default=""), preserve_default=False),
        migrations.AddField("auditentry", "previous", _char(64, default=""), preserve_default=False),
        migrations.AddField("auditentry", "digest", _char(64, default=""), preserve_default=False),
        migrations.CreateModel(
            "AuditHead",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("seq", models.BigIntegerField()),
                ("entry", models.BigIntegerField()),
                ("digest", _char(64)),
                ("key", _char(16)),
                ("signature", _char(64)),
            ],
        ),
        migrations.CreateModel(
            "AuditCheck",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField()),
                ("whole_at", models.DateTimeField(null=True)),
                ("sound", models.BooleanField()),
                ("rows", models.BigIntegerField(default=0)),
                ("findings", models.JSONField(default=list)),
                ("seq", models.BigIntegerField(default=0)),
                ("entry", models.BigIntegerField(default=0)),
                ("digest", _char(64, default="")),
                ("key", _char(16, default="")),
                ("signature", _char(64, default="")),
            ],
        ),
        migrations.RunPython(chain_up, migrations.RunPython.noop),
        migrations.AlterField("auditentry", "seq", models.BigIntegerField(unique=True)),
        migrations.AddIndex("auditentry", models.Index(fields=["project", "id"], name="audit_project")),
        migrations.AddIndex("auditentry", models.Index(fields=["actor", "id"], name="audit_actor")),
        migrations.AddIndex("auditentry", models.Index(fields=["verb", "id"], name="audit_verb")),
        migrations.RunPython(lock, unlock),
    ]
