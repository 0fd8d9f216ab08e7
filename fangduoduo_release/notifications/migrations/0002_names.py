from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("notifications", "0001_channels_and_deliveries"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="circuit",
            options={"verbose_name": "circuit breaker"},
        ),
    ]
