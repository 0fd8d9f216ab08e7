from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("common", "0003_connection_changed_at"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="beat",
            options={"verbose_name": "beat of a process"},
        ),
        migrations.AlterModelOptions(
            name="event",
            options={"verbose_name": "event"},
        ),
        migrations.AlterModelOptions(
            name="idempotencykey",
            options={"verbose_name": "idempotency key"},
        ),
        migrations.AlterModelOptions(
            name="lease",
            options={"verbose_name": "lease"},
        ),
        migrations.AlterModelOptions(
            name="step",
            options={"verbose_name": "step"},
        ),
    ]
