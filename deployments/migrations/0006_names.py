from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("deployments", "0005_kubernetes"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="instance",
            options={"ordering": ["name"], "verbose_name": "instance"},
        ),
    ]
