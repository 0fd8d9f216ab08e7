from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("projects", "0006_sources"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="branchtip",
            options={"verbose_name": "branch tip"},
        ),
        migrations.AlterField(
            model_name="machinegrant",
            name="reason",
            field=models.CharField(blank=True, max_length=300, verbose_name="reason"),
        ),
        migrations.AlterField(
            model_name="rolegrant",
            name="reason",
            field=models.CharField(blank=True, max_length=300, verbose_name="reason"),
        ),
    ]
