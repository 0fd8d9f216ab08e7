import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("clusters", "0004_config_sightings"),
    ]

    operations = [
        migrations.AlterField(
            model_name="machine",
            name="cluster",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="machines",
                to="clusters.cluster",
                verbose_name="cluster",
            ),
        ),
        migrations.AlterField(
            model_name="machine",
            name="order",
            field=models.PositiveSmallIntegerField(default=0, verbose_name="order"),
        ),
    ]
